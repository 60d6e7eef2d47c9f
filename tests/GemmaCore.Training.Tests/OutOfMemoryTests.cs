using GemmaCore.Checkpoints;
using GemmaCore.Cuda;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Testing;

namespace GemmaCore.Training.Tests;

/// <summary>A card that has no memory left in the middle of a run: the step is done in smaller parts, and is the same step.</summary>
[Collection(nameof(FailingCalls))]
public sealed class OutOfMemoryTests : IDisposable
{
    private const string Card = "gtx1650/round_robin";

    private readonly SmallModel _files = new();

    [Theory]
    [InlineData(0f, false)]
    [InlineData(0.3f, true)]
    public void A_step_that_finds_no_memory_is_done_in_halves_with_the_same_result(float dropout, bool checkpointing)
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("only the simulator fails when told to");
        (double[] expected, int[] none) = Losses(dropout, checkpointing, failAt: []);
        Assert.Empty(none);
        (double[] actual, int[] parts) = Losses(dropout, checkpointing, failAt: [1]);
        Assert.Equal([2], parts); // of four samples
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 1e-5);
        (actual, parts) = Losses(dropout, checkpointing, failAt: [1, 1]);
        Assert.Equal([2, 1], parts);
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 1e-5);
    }

    [Fact]
    public void A_single_sample_that_does_not_fit_ends_the_run_with_the_card_s_message()
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("only the simulator fails when told to");
        CudaException error = Assert.Throws<CudaException>(() => Losses(0, false, failAt: [1, 1, 1]));
        Assert.True(error.IsOutOfMemory);
        foreach (string word in (string[])["CUDA_ERROR_OUT_OF_MEMORY (2)", "use a smaller batch"]) Assert.Contains(word, error.Message, StringComparison.Ordinal);
    }

    public void Dispose() => _files.Dispose();

    // Losses and gradient norms of three steps; the numbers count attempts at the second step that fail, at the first allocation after the one before.
    private (double[] Values, int[] Parts) Losses(float dropout, bool checkpointing, int[] failAt)
    {
        using CudaDevice device = TestDevices.OpenCard(Card);
        using LanguageModel model = ModelFolder.Load(_files.Folder, device);
        string json = $$"""{"r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "down_proj"], "lora_dropout": {{dropout.ToString(System.Globalization.CultureInfo.InvariantCulture)}}}""";
        using LoraAdapter adapter = LoraAdapter.Create(model, AdapterConfig.Parse(System.Text.Encoding.UTF8.GetBytes(json), "adapter_config.json"), seed: 5);
        var parts = new List<int>();
        int failures = 0;
        using var trainer = new LoraTrainer(model, adapter, new AdamW(adapter.Parameters, 0.9f, 0.999f, 1e-8f, 0.1f), seed: 1)
        {
            GradientCheckpointing = checkpointing,
            OnSmallerParts = part =>
            {
                parts.Add(part);
                if (++failures < failAt.Length) Fail();
            },
        };
        EncodedExample[] rows = [Row(2, 17, 9, 61, 5, 40), Row(2, 18, 30), Row(2, 40, 41, 42, 43), Row(2, 7, 8, 9, 10, 11, 12)];
        var values = new List<double>();
        try
        {
            for (int step = 0; step < 3; step++)
            {
                if (step == 1 && failAt.Length > 0)
                {
                    // The memory of the first step is given back, so that the second one has to ask for it.
                    trainer.Reserve(new StepMemory(0, [], 0));
                    Fail();
                }

                StepResult result = trainer.Step([rows, rows[..3]], 0.01f);
                values.AddRange([result.Loss, result.GradientNorm, .. result.MicroBatchLosses]);
            }
        }
        finally
        {
            Simulator.FailCall(0, 0);
        }

        return ([.. values], [.. parts]);
    }

    // Driver calls are counted; the first one of a step without memory is an allocation.
    private static void Fail() => Simulator.FailCall(1, FailingCalls.OutOfMemory);

    private static EncodedExample Row(params int[] ids) => new(ids, [.. ids.Select((_, i) => i > 1)], [], []);
}
