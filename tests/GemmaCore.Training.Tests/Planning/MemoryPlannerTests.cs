using System.Text.Json.Nodes;
using GemmaCore.Cuda;
using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Planning;

namespace GemmaCore.Training.Tests.Planning;

public sealed class MemoryPlannerTests
{
    private static readonly SampleShape Sample = SampleShape.OfLength(512, 0, 0);

    private static readonly TrainingConfiguration Asked = new()
    {
        LoadIn4Bit = true, LoraRank = 16, PerDeviceTrainBatchSize = 8, GradientAccumulationSteps = 2, MaxLength = 512,
    };

    [Fact]
    public void What_fits_is_left_as_it_was_asked_for()
    {
        MemoryPlan plan = MemoryPlanner.Fit(Rehearsal(), Asked, Sample, 80L << 30);
        Assert.Equal(Asked, plan.Configuration);
        Assert.Empty(plan.GivenUp);
    }

    // Less memory, more concessions; every plan fits, and a step has as many samples as before.
    [Fact]
    public void Less_memory_means_more_concessions()
    {
        long whole = MemoryPlanner.Fit(Rehearsal(), Asked, Sample, null).PeakBytes;
        int concessions = 0;
        foreach (double share in new[] { 0.9, 0.6, 0.2, 0.165 })
        {
            long limit = (long)(whole * share);
            MemoryPlan plan = MemoryPlanner.Fit(Rehearsal(), Asked, Sample, limit);
            Assert.InRange(plan.PeakBytes, 1, limit);
            Assert.Equal(Asked, plan.Configuration with { SamplesAtOnce = 0, GradientCheckpointing = false, LossChunkRows = 0, Optim = Asked.Optim });
            Assert.True(plan.GivenUp.Count >= concessions, string.Join("; ", plan.GivenUp));
            Assert.NotEmpty(plan.GivenUp);
            concessions = plan.GivenUp.Count;
        }

        Assert.True(concessions >= 2);
    }

    [Fact]
    public void Nothing_is_given_up_that_does_not_help()
    {
        // Just below what is asked for: one halving is enough, and recomputing is not needed.
        long limit = MemoryPlanner.Fit(Rehearsal(), Asked, Sample, null).PeakBytes - 1;
        MemoryPlan plan = MemoryPlanner.Fit(Rehearsal(), Asked, Sample, limit);
        string line = Assert.Single(plan.GivenUp);
        Assert.Equal("samples_at_once: 4 instead of 8: micro-batches of 8 are done in parts; same results up to rounding", line);
    }

    // A run that goes on where there is more memory, or less.
    [Fact]
    public void What_a_run_gave_up_stays_given_up_and_its_optimiser_stays_what_it_is()
    {
        long whole = MemoryPlanner.Fit(Rehearsal(), Asked, Sample, null).PeakBytes;
        TrainingConfiguration smallest = Asked with { SamplesAtOnce = 1, GradientCheckpointing = true, LossChunkRows = 16, Optim = TrainingConfiguration.AdamW8Bit };
        MemoryPlan tight = MemoryPlanner.Fit(Rehearsal(), Asked, Sample, Rehearsal().Plan(smallest, Sample).PeakBytes);
        Assert.Equal(TrainingConfiguration.AdamW8Bit, tight.Configuration.Optim);
        MemoryPlan roomy = MemoryPlanner.Fit(Rehearsal(), Asked, Sample, 80L << 30, 0, PlannedSettings.Of(tight.Configuration));
        Assert.Equal(tight.Configuration, roomy.Configuration);
        Assert.Equal(tight.GivenUp, roomy.GivenUp);

        var before = PlannedSettings.Of(Asked);
        Assert.Equal(Asked, MemoryPlanner.Fit(Rehearsal(), Asked, Sample, null, 0, before).Configuration);
        MemoryPlan less = MemoryPlanner.Fit(Rehearsal(), Asked, Sample, whole / 2, 0, before);
        Assert.NotEmpty(less.GivenUp);
        Assert.Equal(Asked.Optim, less.Configuration.Optim);
        Assert.Throws<NothingFitsException>(() => MemoryPlanner.Fit(Rehearsal(), Asked, Sample, tight.PeakBytes, 0, before));
    }

    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(0, 4, 4)]
    [InlineData(4, 0, 4)]
    [InlineData(8, 2, 2)]
    [InlineData(2, 8, 2)]
    public void The_smaller_part_counts_and_zero_is_the_whole(int asked, int before, int expected)
    {
        TrainingConfiguration earlier = Asked with { SamplesAtOnce = before, LossChunkRows = before, GradientCheckpointing = false };
        TrainingConfiguration kept = PlannedSettings.Of(earlier).Over(Asked with { SamplesAtOnce = asked, LossChunkRows = asked, GradientCheckpointing = true, CacheImageFeatures = false });
        Assert.Equal((expected, expected, true, true), (kept.SamplesAtOnce, kept.LossChunkRows, kept.GradientCheckpointing, kept.CacheImageFeatures));
    }

    [Fact]
    public void What_cannot_fit_is_refused_in_one_line_with_the_smallest_plan()
    {
        string message = Assert.Throws<NothingFitsException>(
            () => MemoryPlanner.Fit(Rehearsal(), Asked with { LoadIn4Bit = false }, Sample, 300_000_000)).Message;
        Assert.StartsWith("nothing fits into 300.0 MB: the smallest plan takes ", message, StringComparison.Ordinal);
        Assert.Contains("embeddings and head (bf16) 335.5 MB", message, StringComparison.Ordinal);
        Assert.Contains("use load_in_4bit: true, quantize_head: int8, a smaller lora_rank", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    // A checkpoint of codes does not let them be rounded to others, and on the CPU dense weights lie in the mapped file already.
    [Fact]
    public void Only_weights_that_would_be_smaller_are_advised()
    {
        Assert.Contains("use load_in_4bit: true instead of load_in_8bit, quantize_head: int8, ", Refusal(Rehearsal(), new() { LoadIn8Bit = true }), StringComparison.Ordinal);
        var onCpu = new Rehearsal(CpuDevice.Rehearsal, (device, variant) => ModelFolder.Rehearse(ModelPreset.Find("gemma-3-270m")!, device, variant));
        string folder = Directory.CreateTempSubdirectory("gemmacore-planner-").FullName;
        JsonNode config = JsonNode.Parse(ModelPreset.Find("gemma-3-270m")!.ConfigText)!;
        config["quantization_config"] = new JsonObject { ["quant_method"] = "bitsandbytes", ["load_in_8bit"] = true };
        File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString());
        var codes = new Rehearsal(() => CudaDevice.Rehearsal(CudaCard.Known["gtx1650"]), (device, variant) => ModelFolder.Rehearse(folder, device, variant));
        Assert.DoesNotContain("load_in_4bit", Refusal(onCpu, new()), StringComparison.Ordinal);
        foreach (bool asIs in (bool[])[true, false])
            Assert.DoesNotContain("load_in_4bit", Refusal(codes, new() { LoadIn8Bit = asIs }), StringComparison.Ordinal);
        Directory.Delete(folder, recursive: true);

        static string Refusal(Rehearsal rehearsal, TrainingConfiguration asked) =>
            Assert.Throws<NothingFitsException>(() => MemoryPlanner.Fit(rehearsal, asked, Sample, 1_000_000)).Message;
    }

    // The amount that somebody wrote is the one that the message names, and the smallest plan is to be compared with it.
    [Fact]
    public void The_driver_s_share_counts_in_both_amounts()
    {
        const long driver = 256 << 20, smallest = 200_000_000;
        MemoryPlan plan = MemoryPlanner.Fit(Rehearsal(), Asked, Sample, null);
        Assert.Empty(MemoryPlanner.Fit(Rehearsal(), Asked, Sample, plan.PeakBytes + driver, driver).GivenUp);
        Assert.NotEmpty(MemoryPlanner.Fit(Rehearsal(), Asked, Sample, plan.PeakBytes + driver - 1, driver).GivenUp);
        string message = Assert.Throws<NothingFitsException>(() => MemoryPlanner.Fit(Rehearsal(), Asked, Sample, smallest, driver)).Message;
        Assert.StartsWith("nothing fits into 200.0 MB: the smallest plan takes ", message, StringComparison.Ordinal);
        Assert.Contains("the driver about 268.4 MB", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Batches_of_an_evaluation_are_called_so()
    {
        TrainingConfiguration asked = Asked with { PerDeviceTrainBatchSize = 1, PerDeviceEvalBatchSize = 8, EvalStrategy = "steps", GradientCheckpointing = true };
        long whole = MemoryPlanner.Fit(Rehearsal(), asked, Sample, null).PeakBytes;
        string line = MemoryPlanner.Fit(Rehearsal(), asked, Sample, whole - 1).GivenUp[0];
        Assert.Equal("samples_at_once: 4 instead of 8: evaluation batches of 8 are done in parts; same results up to rounding", line);
    }

    [Theory]
    [InlineData("4GB", 4_000_000_000)]
    [InlineData("3.4 GiB", 3650722201)]
    [InlineData("900mb", 900_000_000)]
    [InlineData("4g", 4L << 30)]
    public void Amounts_are_read(string text, long bytes) => Assert.Equal(bytes, MemorySize.Parse(text, "memory"));

    [Theory]
    [InlineData("")]
    [InlineData("4")]
    [InlineData("GB")]
    [InlineData("-1GB")]
    [InlineData("0GB")]
    [InlineData("1e99GB")]
    public void Other_amounts_are_refused(string text) =>
        Assert.Equal($"memory: expected an amount such as 4GB or 3.4GiB, got '{text}'", Assert.Throws<ConfigurationException>(() => MemorySize.Parse(text, "memory")).Message);

    private static Rehearsal Rehearsal() =>
        new(() => CudaDevice.Rehearsal(CudaCard.Known["gtx1650"]), (device, variant) => ModelFolder.Rehearse(ModelPreset.Find("gemma-3-270m")!, device, variant));
}
