using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Planning;

/// <summary>
/// Makes a <see cref="MemoryPlan"/> by doing everything a run does, with the run's own code, on a device that computes nothing and keeps account of memory.
/// </summary>
/// <param name="openDevice">Makes a rehearsal of the device, e.g. <see cref="CpuDevice.Rehearsal"/>.</param>
/// <param name="load">Loads the model there, e.g. <see cref="ModelFolder.Rehearse(string, Device, ModelVariant)"/>.</param>
public sealed class Rehearsal(Func<Device> openDevice, Func<Device, ModelVariant, LanguageModel> load)
{
    /// <summary>Rehearses a run whose largest sample is known.</summary>
    /// <exception cref="ConfigurationException">The sample cannot be, or the settings contradict one another.</exception>
    public MemoryPlan Plan(TrainingConfiguration configuration, SampleShape sample)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(sample);
        using Device device = openDevice();
        using LanguageModel model = load(device, configuration.Variant);
        List<PlanPart> weights = WeightParts(model, device, out long mapped);
        using var stage = new TrainingStage(configuration, model);
        EncodedExample example = Sample(model, sample);
        PassWork picture = stage.KeepsFeatures && sample.Images > 0 ? PassWork.OfPicture(model) : default; // its tower is about to leave
        stage.EncodePictures(show => show(example));
        if (stage.KeepsFeatures) weights.RemoveAll(part => part.Name.StartsWith("vision", StringComparison.Ordinal));
        long preparation = device.PeakAllocatedBytes;
        long adapted = 2 * stage.Adapter.Parameters.Sum(parameter => parameter.Value.ByteCount), before = device.AllocatedBytes;
        LoraTrainer trainer = stage.Start(null, null);
        long moments = device.AllocatedBytes - before, resting = device.AllocatedBytes;
        EncodedExample sampleOfRun = stage.KeepsFeatures ? example with { Images = [] } : example;
        trainer.Step([[.. Enumerable.Repeat(sampleOfRun, configuration.PerDeviceTrainBatchSize)]], 0);
        if (configuration.Evaluates) trainer.Evaluate([[.. Enumerable.Repeat(sampleOfRun, configuration.PerDeviceEvalBatchSize)]]);
        StepMemory step = trainer.StepMemory;
        long other = resting - moments - adapted - weights.Sum(part => part.Bytes);
        List<PlanPart> parts =
        [
            .. weights, new("norms and biases", other), new("adapter", adapted / 2), new("adapter gradients", adapted - adapted / 2),
            new($"optimiser ({configuration.Optim})", moments), new("activations", Arena.BlockBytes(step.ArenaBytes)),
            new("activation gradients", step.GradientBuffers.Sum()),
        ];
        if (step.TemporaryBytes > 0) parts.Add(new("temporaries of operations", Arena.BlockBytes(step.TemporaryBytes)));
        return new MemoryPlan
        {
            Configuration = configuration,
            Sample = sample,
            Parts = parts,
            LossChunkBytes = ChunkBytes(model, configuration, sample),
            MappedBytes = mapped,
            PreparationBytes = preparation,
            Step = step,
            StepWork = StepWork.Of(model, configuration, sample, encodesPictures: !stage.KeepsFeatures),
            PictureWork = picture,
        };
    }

    // Matrices, by what they are and how they are held. Views of a mapped file are no memory of the device.
    private static List<PlanPart> WeightParts(LanguageModel model, Device device, out long mapped)
    {
        var bytes = new SortedDictionary<string, long>(StringComparer.Ordinal);
        long views = 0;
        foreach (Linear layer in model.Linears)
        {
            Add($"{(LoraAdapter.IsVision(layer) ? "vision" : "text")} weights ({layer.Weight.Format})", layer.Weight.ByteCount, layer.Weight is DenseMatrix);
        }

        foreach (WeightMatrix table in model.Tables) Add($"embeddings and head ({table.Format})", table.ByteCount, table is DenseMatrix);
        mapped = views;
        return [.. bytes.Select(part => new PlanPart(part.Key, part.Value))];

        void Add(string name, long count, bool isView)
        {
            if (isView && device is CpuDevice) views += count;
            else bytes[name] = bytes.GetValueOrDefault(name) + count;
        }
    }

    private static EncodedExample Sample(LanguageModel model, SampleShape sample)
    {
        long imageTokens = (long)sample.Images * model.TokensPerImage;
        if (sample.Images > 0 && model.TokensPerImage == 0) throw new ConfigurationException("the model has no vision tower, but the samples have pictures");
        if (sample.Tokens < 2 || imageTokens + 2 > sample.Tokens)
            throw new ConfigurationException($"max_length: {sample.Tokens} tokens cannot hold {sample.Images} pictures of {model.TokensPerImage} tokens and an answer");
        if (sample.Tokens > model.Layout.MaxPositions) throw new ConfigurationException($"max_length: {sample.Tokens} is more than the model's {model.Layout.MaxPositions} positions");
        int[] ids = new int[sample.Tokens];
        for (int image = 0; image < sample.Images; image++) ids.AsSpan(image * model.TokensPerImage, model.TokensPerImage).Fill(model.ImageTokenId);
        var targets = new bool[ids.Length];
        targets.AsSpan(Math.Max(1, ids.Length - sample.Targets)).Fill(true);
        int side = model.ImageSize;
        var pixels = new ImagePixels(new float[3 * side * side], side, side);
        return new EncodedExample(
            ids, targets, [.. Enumerable.Repeat(pixels, sample.Images)], [.. Enumerable.Range(0, sample.Images).Select(image => $"rehearsal {image}")]);
    }

    private static long ChunkBytes(LanguageModel model, TrainingConfiguration configuration, SampleShape sample)
    {
        int most = LinearCrossEntropy.RowsPerChunk(model.Device), rows = sample.Targets * configuration.PerDeviceTrainBatchSize;
        int chunk = Math.Min(rows, configuration.LossChunkRows == 0 ? most : Math.Min(most, configuration.LossChunkRows));
        return (long)chunk * (model.Layout.VocabularySize + model.Layout.HiddenSize) * sizeof(float);
    }
}
