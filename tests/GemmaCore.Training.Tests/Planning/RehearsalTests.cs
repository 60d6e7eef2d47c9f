using GemmaCore.Cuda;
using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Planning;

namespace GemmaCore.Training.Tests.Planning;

/// <summary>What is planned is what the device counts: at most a twentieth apart, also when samples of other lengths come and go.</summary>
public sealed class RehearsalTests
{
    private const string Text = ".*language_model.*_proj";

    public static TheoryData<string, string, string, bool> Runs()
    {
        var runs = new TheoryData<string, string, string, bool>();
        foreach (string base_ in (string[])["stored", "nf4", "int8"])
        {
            runs.Add("cpu", base_, Text, false);
            runs.Add("cpu", base_, "all-linear", true);
        }

        // What their driver counts begins anew with each context.
        runs.Add("gtx1650/idle", "nf4", Text, true);
        runs.Add("t4/idle", "int8", Text, true);
        runs.Add("a100/idle", "stored", Text, false);
        return runs;
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void The_embedded_model_takes_what_was_planned(string device, string format, string targets, bool checkpointing)
    {
        TrainingConfiguration configuration = Configuration(format, targets) with { GradientCheckpointing = checkpointing, PerDeviceTrainBatchSize = 2 };
        HoldsItsPlan(Goldens.DemoPath("model"), device, configuration, new SampleShape(30, 1, 10));
    }

    // Settings drawn at random, those that nobody would put together included; GEMMACORE_PLANS=300 tries more.
    [Theory]
    [InlineData("cpu", 1, 8)]
    [InlineData("gtx1650/idle", 101, 3)]
    [InlineData("t4/idle", 201, 3)]
    [InlineData("h200/idle", 401, 3)]
    public void Any_settings_take_what_was_planned(string device, int firstSeed, int count)
    {
        count = int.Parse(Environment.GetEnvironmentVariable("GEMMACORE_PLANS") ?? $"{count}", System.Globalization.CultureInfo.InvariantCulture);
        for (int seed = firstSeed; seed < firstSeed + count; seed++)
        {
            var random = new Random(seed);
            T Of<T>(params T[] values) => values[random.Next(values.Length)];
            int images = Of(0, 1, 1, 2, 3), pooled = Of(0, 0, 4), tokens = images * (pooled == 0 ? 16 : pooled) + random.Next(2, 60), micro = random.Next(1, 5);
            TrainingConfiguration configuration = Configuration(Of("stored", "nf4", "int8"), Of(Text, "all-linear", ".*q_proj", ".*layers\\.3\\..*_proj", ".*vision_tower.*")) with
            {
                QuantizeHead = Of("none", "int8"),
                Optim = Of("adamw_torch", "adamw_8bit"),
                LoraRank = Of(1, 4, 16, 64),
                LoraDropout = Of(0, 0.1),
                Bnb4BitUseDoubleQuant = Of(true, false),
                PerDeviceTrainBatchSize = micro,
                PerDeviceEvalBatchSize = random.Next(1, 7),
                EvalStrategy = Of("no", "steps"),
                SamplesAtOnce = Of(0, 1, 2),
                LossChunkRows = Of(0, 16, 64),
                GradientCheckpointing = Of(true, false),
                CacheImageFeatures = Of(true, true, false),
                MmTokensPerImage = pooled,
            };
            HoldsItsPlan(Goldens.DemoPath("model"), device, configuration, SampleShape.OfLength(tokens, images, pooled == 0 ? 16 : pooled), $"seed {seed}: {configuration}");
        }
    }

    [Theory]
    [InlineData("stored", false)]
    [InlineData("nf4", true)]
    [InlineData("int8", true)]
    public void A_larger_model_takes_what_was_planned(string format, bool checkpointing)
    {
        string folder = Path.Combine(Path.GetTempPath(), "gemmacore-plan-" + Guid.NewGuid().ToString("N"));
        try
        {
            RandomCheckpoint.Write(ModelPreset.Find("mini")!, folder, seed: 1, DType.BF16);
            TrainingConfiguration configuration = Configuration(format, "all-linear") with { GradientCheckpointing = checkpointing, PerDeviceTrainBatchSize = 2 };
            HoldsItsPlan(folder, "cpu", configuration, new SampleShape(48, 0, 40));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    // A preset knows no more than a configuration; the folder made from it has weights. Both must come to the same plan.
    [Theory]
    [InlineData("stored")]
    [InlineData("nf4")]
    [InlineData("int8")]
    public void A_plan_needs_no_weights(string format)
    {
        string folder = Path.Combine(Path.GetTempPath(), "gemmacore-plan-" + Guid.NewGuid().ToString("N"));
        try
        {
            ModelPreset preset = ModelPreset.Find("tiny")!;
            RandomCheckpoint.Write(preset, folder, seed: 1, DType.BF16);
            var sample = new SampleShape(40, 1, 20);
            foreach (Func<Device> open in (Func<Device>[])[CpuDevice.Rehearsal, () => CudaDevice.Rehearsal(CudaCard.Known["t4"])])
            {
                TrainingConfiguration configuration = Configuration(format, "all-linear");
                MemoryPlan withWeights = new Rehearsal(open, (device, held) => ModelFolder.Rehearse(folder, device, held)).Plan(configuration, sample);
                MemoryPlan without = new Rehearsal(open, (device, held) => ModelFolder.Rehearse(preset, device, held)).Plan(configuration, sample);
                Assert.Equal(withWeights.Parts, without.Parts);
                Assert.Equal(withWeights.MappedBytes, without.MappedBytes);
                Assert.True(without.PeakBytes > 0);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void A_sample_without_room_for_an_answer_is_refused()
    {
        var rehearsal = new Rehearsal(CpuDevice.Rehearsal, (device, held) => ModelFolder.Rehearse(ModelPreset.Find("medgemma-4b")!, device, held));
        string message = Assert.Throws<ConfigurationException>(() => rehearsal.Plan(Configuration("nf4", Text), SampleShape.OfLength(200, 1, 256))).Message;
        Assert.Equal("max_length: 200 tokens cannot hold 1 pictures of 256 tokens and an answer", message);
    }

    private static TrainingConfiguration Configuration(string format, string targets) => new()
    {
        LoadIn4Bit = format == "nf4", LoadIn8Bit = format == "int8", QuantizeHead = format == "nf4" ? "int8" : "none", Optim = format == "nf4" ? "adamw_8bit" : "adamw_torch", TargetModules = [targets], LoraRank = 16,
        LoraDropout = 0.1,
    };

    private static void HoldsItsPlan(string folder, string name, TrainingConfiguration configuration, SampleShape sample, string what = "")
    {
        using Device device = name == "cpu" ? new CpuDevice(2) : TestDevices.OpenCard(name);
        MemoryPlan plan = PlannedRun.Rehearse(folder, device).Plan(configuration, sample);
        using var run = new PlannedRun(folder, device, configuration, sample);
        LoraTrainer trainer = run.Start(plan);
        EncodedExample shorter = run.Example(sample.Tokens * 2 / 3), longer = run.Example(sample.Tokens - 3);
        EncodedExample[] batch = run.Batch();
        if (shorter.TargetCount > 0) trainer.Step([[shorter, .. batch[1..]]], 1e-3f);
        trainer.Step([batch, batch], 1e-3f);
        if (longer.TargetCount > 0) trainer.Step([[longer]], 1e-3f);
        if (configuration.Evaluates) trainer.Evaluate([[.. Enumerable.Repeat(batch[0], configuration.PerDeviceEvalBatchSize)]]);
        double share = device.PeakAllocatedBytes / (double)plan.PeakBytes;
        Assert.True(share is >= 0.95 and <= 1.05, $"{share:P1} of {plan.PeakBytes} planned bytes; {what}");
        if (what.Length == 0 && device is CudaDevice card && !TestDevices.UsesRealGpu) Assert.InRange(Simulator.MostDeviceBytes(card.Card.Ordinal) / (double)plan.PeakBytes, 0.95, 1.05);
    }
}
