using GemmaCore.Models;
using GemmaCore.Tensors;

namespace GemmaCore.Training;

/// <summary>Features of pictures under a frozen vision tower: each picture is encoded once, however many epochs see it.</summary>
public sealed class ImageFeatureCache : IDisposable
{
    private readonly LanguageModel _model;
    private readonly Dictionary<string, DeviceBuffer> _features = new(StringComparer.Ordinal);
    private readonly long _maxBytes;
    private long _bytes;

    /// <summary>An empty cache that keeps at most <paramref name="maxBytes"/> of features; further pictures are encoded every time.</summary>
    public ImageFeatureCache(LanguageModel model, long maxBytes) => (_model, _maxBytes) = (model, maxBytes);

    /// <summary>Features of all pictures of some samples, in order.</summary>
    /// <returns>[pictures · tokens per image, D] in <paramref name="arena"/>; default when there are none.</returns>
    public TensorView Take(IReadOnlyList<EncodedExample> examples, Arena arena)
    {
        ArgumentNullException.ThrowIfNull(examples);
        ArgumentNullException.ThrowIfNull(arena);
        int images = examples.Sum(example => example.Images.Count), tokens = _model.TokensPerImage, row = 0;
        if (images == 0) return default;
        TensorView features = arena.Take(new Shape(images * tokens, _model.Layout.HiddenSize));
        foreach (EncodedExample example in examples)
        {
            for (int i = 0; i < example.Images.Count; i++, row += tokens)
                Copy(example, i, features.Slice(row, tokens), arena);
        }

        return features;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (DeviceBuffer buffer in _features.Values) buffer.Dispose();
        _features.Clear();
        _bytes = 0;
    }

    private void Copy(EncodedExample example, int index, TensorView destination, Arena arena)
    {
        if (_features.TryGetValue(example.ImageKeys[index], out DeviceBuffer? known))
        {
            _model.Device.Copy(known.View, destination);
            return;
        }

        Arena.Mark mark = arena.Position;
        _model.Device.Copy(ImageEncoding.Encode(_model, [example.Images[index].Values], arena), destination);
        arena.Rewind(mark);
        if (_bytes + destination.ByteCount > _maxBytes) return;
        var buffer = new DeviceBuffer(_model.Device, destination.Shape, DType.F32);
        _model.Device.Copy(destination, buffer.View);
        _features.Add(example.ImageKeys[index], buffer);
        _bytes += destination.ByteCount;
    }
}
