using System.Runtime.InteropServices;
using GemmaCore.Models;
using GemmaCore.Tensors;

namespace GemmaCore.Training;

/// <summary>
/// Features of pictures under a frozen vision tower: each picture is encoded once, however many epochs see it. They are kept in host memory, and beyond that
/// in a file that goes with the cache, so that the tower can leave the device when all pictures are known.
/// </summary>
public sealed class ImageFeatureCache : IDisposable
{
    private readonly LanguageModel _model;
    private readonly Dictionary<string, float[]> _inMemory = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _inFile = new(StringComparer.Ordinal);
    private readonly long _maxBytes;
    private FileStream? _file;
    private float[] _read = [];
    private long _bytes;

    /// <summary>An empty cache.</summary>
    /// <param name="model">Whose features.</param>
    /// <param name="maxBytes">Most host memory to use; further features are kept in a temporary file.</param>
    public ImageFeatureCache(LanguageModel model, long maxBytes) => (_model, _maxBytes) = (model, maxBytes);

    /// <summary>Pictures encoded so far.</summary>
    public int Count => _inMemory.Count + _inFile.Count;

    /// <summary>Encodes the pictures of a sample that are not known yet.</summary>
    /// <param name="example">With its pixels.</param>
    /// <param name="arena">Scratch memory, given back.</param>
    public void Add(EncodedExample example, Arena arena)
    {
        ArgumentNullException.ThrowIfNull(example);
        ArgumentNullException.ThrowIfNull(arena);
        for (int i = 0; i < example.Images.Count; i++)
        {
            if (Knows(example.ImageKeys[i])) continue;
            Arena.Mark mark = arena.Position;
            Keep(example.ImageKeys[i], ImageEncoding.Encode(_model, [example.Images[i].Values], arena).ToFloats());
            arena.Rewind(mark);
        }
    }

    /// <summary>Features of all pictures of some samples, in order; those not known yet are encoded.</summary>
    /// <returns>[pictures · tokens per image, D] in <paramref name="arena"/>; default when there are none.</returns>
    public TensorView Take(IReadOnlyList<EncodedExample> examples, Arena arena)
    {
        ArgumentNullException.ThrowIfNull(examples);
        ArgumentNullException.ThrowIfNull(arena);
        int images = examples.Sum(example => example.ImageKeys.Count), tokens = _model.TokensPerImage, row = 0;
        if (images == 0) return default;
        TensorView features = arena.Take(new Shape(images * tokens, _model.Layout.HiddenSize));
        foreach (EncodedExample example in examples)
        {
            Add(example, arena);
            foreach (string key in example.ImageKeys)
            {
                features.Slice(row, tokens).CopyFrom(Find(key));
                row += tokens;
            }
        }

        return features;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _inMemory.Clear();
        _inFile.Clear();
        _file?.Dispose();
        _file = null;
        _bytes = 0;
    }

    private bool Knows(string key) => _inMemory.ContainsKey(key) || _inFile.ContainsKey(key);

    private void Keep(string key, float[] features)
    {
        long bytes = (long)features.Length * sizeof(float);
        if (_bytes + bytes <= _maxBytes)
        {
            _inMemory.Add(key, features);
            _bytes += bytes;
            return;
        }

        // In the folder for temporary files, whose place the user chooses (TMPDIR); gone when closed, also when the process is killed on most systems.
        _file ??= new FileStream(
            Path.Combine(Path.GetTempPath(), $"gemmacore-features-{Guid.NewGuid():N}"), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16,
            FileOptions.DeleteOnClose | FileOptions.RandomAccess);
        _inFile.Add(key, _file.Length);
        _file.Position = _file.Length;
        _file.Write(MemoryMarshal.AsBytes(features.AsSpan()));
        _file.Flush();
    }

    private float[] Find(string key)
    {
        if (_inMemory.TryGetValue(key, out float[]? features)) return features;
        if (!_inFile.TryGetValue(key, out long offset))
            throw new InvalidOperationException($"{key}: this picture was not encoded before training, and its pixels are not at hand");
        if (_read.Length == 0) _read = new float[_model.TokensPerImage * _model.Layout.HiddenSize];
        _file!.Position = offset;
        _file.ReadExactly(MemoryMarshal.AsBytes(_read.AsSpan()));
        return _read;
    }
}
