using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Training;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Planning;

namespace GemmaCore.Testing;

/// <summary>A training run's device part as <c>train</c> has it, on samples that stand for the largest of a data set.</summary>
public sealed class PlannedRun : IDisposable
{
    private readonly TrainingConfiguration _configuration;
    private readonly LanguageModel _model;
    private readonly TrainingStage _stage;
    private readonly SampleShape _sample;

    /// <summary>Loads a model for the configuration of a plan.</summary>
    public PlannedRun(string folder, Device device, TrainingConfiguration configuration, SampleShape sample)
    {
        (_configuration, _sample) = (configuration, sample);
        _model = ModelFolder.Load(folder, device, configuration.Variant);
        _stage = new TrainingStage(configuration, _model);
    }

    /// <summary>What a run takes on a device like this one.</summary>
    public static Rehearsal Rehearse(string folder, Device device) => new(device.OpenRehearsal, (where, format) => ModelFolder.Rehearse(folder, where, format));

    /// <summary>Encodes the pictures, if the tower then leaves, and takes the memory of a plan.</summary>
    public LoraTrainer Start(MemoryPlan plan)
    {
        EncodedExample full = Example(_sample.Tokens);
        _stage.EncodePictures(show => show(full));
        return _stage.Start(plan.Step, null);
    }

    /// <summary>A micro-batch of the largest samples.</summary>
    public EncodedExample[] Batch() => [.. Enumerable.Repeat(Example(_sample.Tokens), _configuration.PerDeviceTrainBatchSize)];

    /// <summary>A sample of <paramref name="tokens"/> tokens or as few as its pictures allow, pictures first.</summary>
    public EncodedExample Example(int tokens)
    {
        tokens = Math.Max(tokens, _sample.Images * _model.TokensPerImage + 2);
        int[] ids = [.. Enumerable.Range(0, tokens).Select(i => i < _sample.Images * _model.TokensPerImage ? _model.ImageTokenId : 5 + i)];
        bool[] targets = [.. Enumerable.Range(0, tokens).Select(i => i >= Math.Max(1, tokens - _sample.Targets) && ids[i] != _model.ImageTokenId)];
        float[] pixels = [.. Enumerable.Range(0, 3 * _model.ImageSize * _model.ImageSize).Select(i => i % 17 / 17f)];
        return new EncodedExample(
            ids, targets, [.. Enumerable.Repeat(new ImagePixels(pixels, _model.ImageSize, _model.ImageSize), _sample.Images)],
            [.. Enumerable.Range(0, _sample.Images).Select(i => $"picture {i}")]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stage.Dispose();
        _model.Dispose();
    }
}
