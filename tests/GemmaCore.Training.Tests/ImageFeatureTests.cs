using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Planning;

namespace GemmaCore.Training.Tests;

/// <summary>Features of pictures that are made once: training goes on as if the tower were still there, and the tower's memory is free.</summary>
public sealed class ImageFeatureTests
{
    private static readonly TrainingConfiguration TextOnly = new() { TargetModules = [".*language_model.*_proj"], LoraRank = 4, LoadIn8Bit = true };

    [Theory]
    [InlineData("cpu")]
    [InlineData("t4/random")]
    public void Losses_are_those_of_a_tower_that_stays_and_its_memory_is_given_back(string device)
    {
        (double[] with, long freed) = Train(device, TextOnly);
        (double[] without, long kept) = Train(device, TextOnly with { CacheImageFeatures = false });
        Assert.Equal(without, with);
        Assert.Equal(0, kept);
        Assert.True(freed > 300_000, $"only {freed} bytes were given back");
    }

    [Fact]
    public void The_tower_stays_where_it_is_trained()
    {
        using var device = new CpuDevice(2);
        using LanguageModel model = ModelFolder.Load(Goldens.DemoPath("model"), device);
        using var stage = new TrainingStage(new TrainingConfiguration { LoraRank = 2 }, model);
        Assert.False(stage.KeepsFeatures);
        Assert.Equal(0, stage.EncodePictures(_ => Assert.Fail("no picture needs to be shown")));
        Assert.Contains("has an adapter", Assert.Throws<InvalidOperationException>(model.ReleaseVision).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Features_beyond_the_memory_allowed_come_from_a_file_and_are_the_same()
    {
        using var device = new CpuDevice(2);
        using LanguageModel model = ModelFolder.Load(Goldens.DemoPath("model"), device);
        using var arena = new Arena(device);
        EncodedExample[] examples = [Example(model, 1, 0), Example(model, 2, 0), Example(model, 3, 0)];
        using ImageFeatureCache memory = new(model, 1L << 30), file = new(model, maxBytes: 0);
        foreach (EncodedExample example in examples)
        {
            memory.Add(example, arena);
            file.Add(example, arena);
        }

        model.ReleaseVision();
        EncodedExample[] order = [.. new[] { 2, 0, 1, 2 }.Select(i => examples[i] with { Images = [] })];
        float[] expected = memory.Take(order, arena).ToFloats();
        Assert.Equal(expected, file.Take(order, arena).ToFloats());
        Assert.NotEqual(expected[..100], expected[^(expected.Length / 2)..][..100]);
        Assert.Equal(3, file.Count);
        var unknown = new EncodedExample([2, 3], [false, true], [], ["another"]);
        Assert.Contains("another: this picture was not encoded", Assert.Throws<InvalidOperationException>(() => file.Take([unknown], arena)).Message, StringComparison.Ordinal);
        Assert.Contains("has left memory", Assert.Throws<InvalidOperationException>(() => file.Add(Example(model, 9, 0), arena)).Message, StringComparison.Ordinal);
    }

    private static (double[] Losses, long Freed) Train(string name, TrainingConfiguration configuration)
    {
        using DeviceLease lease = TestDevices.Lend(name);
        using LanguageModel model = ModelFolder.Load(Goldens.DemoPath("model"), lease.Device, configuration.Variant);
        using var stage = new TrainingStage(configuration, model);
        EncodedExample[] examples = [Example(model, 1, 3), Example(model, 2, 0), Example(model, 1, 5)];
        int linears = model.Linears.Count;
        long before = lease.Device.AllocatedBytes;
        int pictures = stage.EncodePictures(show => Array.ForEach(examples, show));
        long freed = before - lease.Device.AllocatedBytes;
        Assert.Equal(configuration.CacheImageFeatures ? 2 : 0, pictures);
        Assert.Equal(configuration.CacheImageFeatures, model.Linears.Count < linears);
        if (configuration.CacheImageFeatures) examples = [.. examples.Select(example => example with { Images = [] })];
        LoraTrainer trainer = stage.Start(null, null);
        var losses = new List<double>();
        int steps = name == "cpu" ? 3 : 2; // a simulated card is slow
        for (int step = 0; step < steps; step++) losses.Add(trainer.Step([examples], 0.01f).Loss);
        return ([.. losses], freed);
    }

    // The key tells the picture; the offset makes rows of one picture differ.
    private static EncodedExample Example(LanguageModel model, int picture, int offset)
    {
        int[] ids = [.. Enumerable.Range(0, model.TokensPerImage + 12).Select(i => i < model.TokensPerImage ? model.ImageTokenId : 40 + i + offset)];
        float[] pixels = [.. Enumerable.Range(0, 3 * model.ImageSize * model.ImageSize).Select(i => (float)Math.Sin(i * picture * 0.01))];
        return new EncodedExample(
            ids, [.. ids.Select((_, i) => i >= ids.Length - 6)], [new ImagePixels(pixels, model.ImageSize, model.ImageSize)], [$"picture {picture}"]);
    }
}
