using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Planning;

namespace GemmaCore.Training.Tests.Planning;

/// <summary>Counted by hand: three micro-batches of two samples of 6 tokens, 3 of them in the loss, through <see cref="SmallModel"/> with an adapter of rank 2.</summary>
public sealed class StepWorkTests : IDisposable
{
    // Of a layer: q 32·64, k and v 32·32 (which share q's input), o 64·32, gate, up and down 32·48; and R·(in + out) of each.
    private const double FirstProducts = 2048 + 1024 + 1024, Layer = FirstProducts + 2048 + (3 * 1536), Head = 67 * 32;
    private const double FirstAdapters = 2 * (96 + 64 + 64), LayerAdapters = FirstAdapters + (2 * (96 + (3 * 80)));
    private const double Rows = 2 * 6, Samples = 2, Steps = 3;
    // Of two samples: a window of 4 and none, N·H = 64.
    private const double Attention = 2 * 64 * Samples * (18 + 21), Loss = 4 * Head * Samples * 3;

    // tiny: D 144, F 288, 4 layers, 64 patches.
    private const double PictureForward = (2.0 * 64 * ((4 * 4 * 144 * 144) + (4 * 2 * 144 * 288))) + (4.0 * 4 * 144 * 64 * 64);

    private readonly SmallModel _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Adapters_everywhere_need_every_gradient_but_that_of_the_first_input(bool checkpointing)
    {
        PassWork work = Plan(new() { GradientCheckpointing = checkpointing });
        int forward = checkpointing ? 2 : 1;
        double products = (2 * Layer * forward) + (2 * Layer) - FirstProducts, adapters = (2 * LayerAdapters * (forward + 2)) - FirstAdapters;
        Assert.Equal(Steps * ((2 * Rows * (products + adapters)) + (((2 * forward) + 5) * Attention) + Loss), work.Operations);
        Assert.Equal(Steps * 2 * (products + (2 * Head)), work.ReadBytes); // bf16
        Assert.Equal(2 * ((2 * Layer) + Head), work.HeldBytes);
    }

    [Fact]
    public void An_adapter_on_the_last_layer_takes_no_gradient_back_through_the_frozen_ones()
    {
        PassWork work = Plan(new() { TargetModules = [".*layers\\.1\\.mlp\\.down_proj"], GradientCheckpointing = false });
        Assert.Equal(Steps * ((2 * Rows * ((2 * Layer) + (2 * 2 * 80))) + (2 * Attention) + Loss), work.Operations);
    }

    [Fact]
    public void Parts_of_a_micro_batch_read_the_weights_again_and_compute_nothing_more()
    {
        PassWork whole = Plan(new()), inParts = Plan(new() { SamplesAtOnce = 1 });
        Assert.Equal(whole.Operations, inParts.Operations);
        Assert.Equal(2 * whole.ReadBytes, inParts.ReadBytes);
    }

    [Fact]
    public void A_frozen_tower_s_pictures_are_apart_and_an_adapted_one_s_are_in_the_step()
    {
        PassWork text = Tiny(".*language_model.*_proj", out PassWork picture), both = Tiny("all-linear", out PassWork none);
        Assert.Equal(PictureForward, picture.Operations);
        Assert.Equal(default, none);
        // Forward and back through the tower but for its first products, and the text's first products, whose input has a gradient now; R·(in + out) with R 2.
        const double tower = (4 * 4 * 144 * 144) + (4 * 2 * 144 * 288), first = 3 * 144 * 144, towerAdapters = 4 * ((4 * 2 * 288) + (2 * 2 * 432)), firstAdapters = 3 * 2 * 288;
        double products = (2 * 64 * ((2 * tower) - first)) + (2 * 64 * ((3 * towerAdapters) - firstAdapters)) + (7.0 * 2 * 4 * 144 * 64 * 64);
        double textFirst = 2 * 20 * ((128 * 1024) + (2 * ((3 * 128) + 1024))); // q, k and v are 128 · (2 + 1 + 1) · 256
        Assert.Equal(products + textFirst, both.Operations - text.Operations);
    }

    private PassWork Plan(TrainingConfiguration settings) => new Rehearsal(CpuDevice.Rehearsal, (device, variant) => ModelFolder.Rehearse(_folder.Folder, device, variant)).Plan(
        settings with { LoraRank = 2, PerDeviceTrainBatchSize = 2, GradientAccumulationSteps = 3, MaxLength = 6 }, new SampleShape(6, 0, 3)).StepWork;

    private static PassWork Tiny(string targets, out PassWork picture)
    {
        var rehearsal = new Rehearsal(CpuDevice.Rehearsal, (device, variant) => ModelFolder.Rehearse(ModelPreset.Find("tiny")!, device, variant));
        MemoryPlan plan = rehearsal.Plan(new() { TargetModules = [targets], LoraRank = 2, PerDeviceTrainBatchSize = 1, GradientAccumulationSteps = 1 }, new SampleShape(20, 1, 3));
        picture = plan.PictureWork;
        return plan.StepWork;
    }
}
