using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

/// <summary>What a request gets must not depend on what else is under way; who leaves must leave nothing behind.</summary>
public sealed class BatchSchedulerTests
{
    [Theory]
    [InlineData("cpu", WeightFormat.AsStored, 20)]
    [InlineData("cpu", WeightFormat.Nf4, 12)]
    [InlineData("gtx1650/random", WeightFormat.AsStored, 3)]
    [InlineData("h200/adversarial", WeightFormat.AsStored, 3)]
    public void An_answer_is_the_same_alone_and_in_any_batch_bit_for_bit(string device, WeightFormat format, int maxTokens)
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), device == "cpu" ? new CpuDevice(2) : TestDevices.OpenCard(device), format);
        using LoraAdapter all = LoraAdapter.LoadChoice(Goldens.Path("adapters/all_linear_r8"), model.Model), few = LoraAdapter.LoadChoice(Goldens.Path("adapters/qv_list_r4"), model.Model);
        List<GenerationRequest> requests = MixedRequests.Of(model, all, few, device == "cpu" ? 600 : 40, maxTokens);
        string[] alone = [.. requests.Select(request => Answers(model, [request], joinEvery: 0)[0])];

        // One after the other while the others decode; all at once, more than fit one pass; and in another order. A simulated card is too slow for all three.
        Assert.Equal(alone, Answers(model, requests, joinEvery: 1));
        if (device == "cpu")
        {
            Assert.Equal(alone, Answers(model, requests, joinEvery: 0));
            Assert.Equal(alone.Reverse(), Answers(model, [.. Enumerable.Reverse(requests)], joinEvery: 3));
        }

        // The adapters and pictures did make a difference.
        Assert.Equal(alone.Length, alone.Distinct().Count());
    }

    [Fact]
    public void Who_leaves_is_gone_with_the_next_step_and_gives_its_memory_back()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        var ended = new List<Sequence>();
        using BatchScheduler scheduler = MixedRequests.Scheduler(model, new BatchLimits(), ended.Add);
        Prompt prompt = model.Prompts.EncodeText("The lesion is a small one in the", []);
        var parameters = new SamplingParams { MaxTokens = 100, IgnoreEos = true };
        long before = model.Model.Device.AllocatedBytes;
        using CancellationTokenSource leaving = new(), waiting = new();
        Sequence first = scheduler.Add(new GenerationRequest(prompt, parameters), null, leaving.Token);
        scheduler.Add(new GenerationRequest(prompt, parameters), null, CancellationToken.None);
        for (int i = 0; i < 4; i++) scheduler.Step();
        Assert.Equal((2, 0), (scheduler.RunningCount, ended.Count));
        scheduler.Add(new GenerationRequest(prompt, parameters), null, waiting.Token);
        leaving.Cancel();
        waiting.Cancel();

        scheduler.Step();

        Assert.Equal((1, 0, 2), (scheduler.RunningCount, scheduler.WaitingCount, ended.Count));
        Assert.Equal((4, FinishReason.Cancelled), (first.Result().Tokens.Count, first.Result().FinishReason));
        scheduler.Abandon(null);
        Assert.Equal((0, 0L, 0L, 3), (scheduler.RunningCount, scheduler.CacheBytes, scheduler.WaitingTokens, ended.Count));
        // The arena of the passes keeps its memory; keys and values do not stay.
        scheduler.Dispose();
        Assert.Equal(before, model.Model.Device.AllocatedBytes);
    }

    [Fact]
    public void No_more_is_under_way_than_the_limits_allow_and_all_are_answered_in_the_end()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        Prompt prompt = model.Prompts.EncodeText("The lesion is a small one in the", []);
        var request = new GenerationRequest(prompt, new SamplingParams { MaxTokens = 6, IgnoreEos = true });
        long one = model.Model.CacheBytes((int)request.TokenCount);
        var ended = new List<Sequence>();
        using BatchScheduler scheduler = MixedRequests.Scheduler(model, new BatchLimits { MaxCacheBytes = 3 * one - 1, MaxSequences = 5 }, ended.Add);
        for (int i = 0; i < 7; i++) scheduler.Add(request, null, CancellationToken.None);
        Assert.Equal(7 * request.TokenCount, scheduler.WaitingTokens);
        int most = 0;
        while (scheduler.Step())
        {
            most = Math.Max(most, scheduler.RunningCount);
            Assert.InRange(scheduler.CacheBytes, 0, 3 * one - 1);
        }

        Assert.Equal((2, 7, 0L), (most, ended.Count, scheduler.WaitingTokens));
        Assert.All(ended, sequence => Assert.Equal((6, FinishReason.Length), (sequence.Result().Tokens.Count, sequence.Result().FinishReason)));

        var error = Assert.Throws<InputException>(() => scheduler.Add(request with { Parameters = new SamplingParams { MaxTokens = 4000 } }, null, CancellationToken.None));
        Assert.Contains($"{3 * one - 1} are set aside", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_request_whose_logits_are_not_finite_fails_alone()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        string folder = Path.Combine(Path.GetTempPath(), "gemmacore-nan-" + Guid.NewGuid().ToString("N"));
        try
        {
            using LoraAdapter broken = BrokenAdapter(folder, model);
            GenerationRequest sound = new(model.Prompts.EncodeText("The lesion is a small one in the", []), new SamplingParams { MaxTokens = 8, Logprobs = 0 });
            string expected = Answers(model, [sound], 0)[0];
            string[] together = Answers(model, [sound, sound with { Adapter = broken }, sound], 0);
            Assert.Equal((expected, expected), (together[0], together[2]));
            Assert.Contains("not finite", together[1], StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    // Every float of the file is huge: a file with NaN would not load.
    private static LoraAdapter BrokenAdapter(string folder, GemmaModel model)
    {
        Directory.CreateDirectory(folder);
        string source = Goldens.Path("adapters/qv_list_r4");
        File.Copy(Path.Combine(source, "adapter_config.json"), Path.Combine(folder, "adapter_config.json"));
        byte[] bytes = File.ReadAllBytes(Path.Combine(source, "adapter_model.safetensors"));
        bytes.AsSpan(8 + BitConverter.ToInt32(bytes)).Fill(0x7e);
        File.WriteAllBytes(Path.Combine(folder, "adapter_model.safetensors"), bytes);
        return LoraAdapter.LoadChoice(folder, model.Model);
    }

    private static string[] Answers(GemmaModel model, List<GenerationRequest> requests, int joinEvery)
    {
        using BatchScheduler scheduler = MixedRequests.Scheduler(model, new BatchLimits(), _ => { });
        return [.. MixedRequests.Run(scheduler, requests, joinEvery).Select(MixedRequests.Bits)];
    }
}
