using GemmaCore.Inputs;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>The embedded model on a device (the CPU's two threads if none is named), and the plainest way through it.</summary>
internal sealed class EmbeddedModel : IDisposable
{
    private readonly DeviceLease _lease;

    public EmbeddedModel(string? folder = null, string device = "cpu", WeightFormat format = WeightFormat.AsStored, WeightFormat tables = WeightFormat.AsStored)
    {
        _lease = TestDevices.Lend(device);
        Arena = new Arena(Device);
        Model = ModelFolder.Load(folder ?? Goldens.DemoPath("model"), Device, format, tables);
    }

    public Device Device => _lease.Device;

    public Arena Arena { get; }

    public LanguageModel Model { get; }

    public static float[] Pixels(string image) =>
        ImagePreprocessor.Load(Goldens.DemoPath("model")).Process(ImageDecoder.Decode(ImageSource.FromFile(Goldens.DemoPath("data/" + image)))).Values;

    /// <summary>One packed pass over the sequences; hidden states after the last norm, and logits of every row.</summary>
    public (float[] Hidden, float[] Logits) Run(IReadOnlyList<int[]> sequences, IReadOnlyList<string> images, int positionOffset = 0)
    {
        Arena.Reset();
        var batch = new TokenBatch();
        foreach (int[] ids in sequences) batch.Add(ids, Model.ImageTokenId, null, positionOffset);
        batch.ImageFeatures = ImageEncoding.Encode(Model, [.. images.Select(Pixels)], Arena);
        TensorView hidden = Model.Forward(batch, Arena, null);
        return (hidden.ToFloats(), Logits(hidden));
    }

    public float[] Logits(TensorView hidden)
    {
        TensorView logits = Arena.Take(new Shape(hidden.Shape[0], Model.Layout.VocabularySize));
        Model.Logits(hidden, logits);
        return logits.ToFloats();
    }

    public void Dispose()
    {
        Model.Dispose();
        Arena.Dispose();
        _lease.Dispose();
    }
}
