using GemmaCore.Generation.Constraints;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

/// <summary>When memory for keys and values runs short, who started last steps back and goes on later: no answer changes by a bit, and all are given in the end.</summary>
public sealed class PreemptionTests
{
    private static readonly SamplingParams Long = new() { MaxTokens = 200, IgnoreEos = true, Logprobs = 0 };

    [Theory]
    [InlineData("cpu", WeightFormat.AsStored, DType.F32, 30, 4)]
    [InlineData("cpu", WeightFormat.Nf4, DType.BF16, 24, 2)]
    [InlineData("gtx1650/random", WeightFormat.AsStored, DType.BF16, 4, 1)]
    public void An_answer_is_the_same_bit_for_bit_however_often_it_had_to_step_back(string device, WeightFormat format, DType kvType, int maxTokens, int rounds)
    {
        bool isCpu = device == "cpu";
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), isCpu ? new CpuDevice(2) : TestDevices.OpenCard(device), format);
        model.Model.KvType = kvType;
        using LoraAdapter all = LoraAdapter.LoadChoice(Goldens.Path("adapters/all_linear_r8"), model.Model), few = LoraAdapter.LoadChoice(Goldens.Path("adapters/qv_list_r4"), model.Model);
        List<GenerationRequest> requests = MixedRequests.Of(model, all, few, isCpu ? 1200 : 40, maxTokens);
        if (isCpu) requests.AddRange(OtherKinds(model));
        string[] alone = [.. requests.Select(request => Answers(model, new BatchLimits(), [request], 0).Bits[0])];
        long preemptions = 0;
        var random = new Random(7);
        for (int round = 0; round < rounds; round++)
        {
            int[] order = [.. Enumerable.Range(0, requests.Count)];
            random.Shuffle(order);
            var limits = new BatchLimits
            {
                // As little as the largest of them needs, or somewhat more; on a card, where it takes long, never more.
                MaxCacheBytes = requests.Max(request => model.Model.CacheBytes((int)request.TokenCount)) + (isCpu ? random.Next(40) * model.Model.PageBytes : 0),
                // Below zero, more start than there is room for.
                Headroom = -random.Next(isCpu ? 400 : 100), KeepsPrefixes = random.Next(2) == 0, PrefillTokens = random.Next(2) == 0 ? 512 : 1024,
            };
            (List<string> bits, long steppedBack, Sequence first) = Answers(model, limits, [.. order.Select(i => requests[i])], isCpu ? random.Next(3) : 0);
            Assert.Equal(order.Select(i => alone[i]), bits);
            Assert.False(first.WasPreempted, "who came first had to step back");
            preemptions += steppedBack;
        }

        Assert.True(preemptions >= rounds * 20, $"stepped back only {preemptions} times");
    }

    [Fact]
    public void Those_who_may_answer_at_length_but_do_not_are_under_way_together()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        GenerationRequest request = new(model.Prompts.EncodeText("The lesion is a small one in the", []), Long with { MaxTokens = 2000 });
        using BatchScheduler scheduler = MixedRequests.Scheduler(model, Tight(model, request), _ => { });
        Sequence[] sequences = [.. Enumerable.Range(0, 6).Select(_ => scheduler.Add(request, null, CancellationToken.None))];
        for (int i = 0; i < 20; i++) scheduler.Step();
        Assert.Equal((6, 0L), (scheduler.RunningCount, scheduler.Preemptions));
        Assert.All(sequences, sequence => Assert.Equal(20, sequence.Result().Tokens.Count));
    }

    [Fact]
    public void Who_stepped_back_waits_and_can_leave()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        using LoraAdapter adapter = LoraAdapter.LoadChoice(Goldens.Path("adapters/qv_list_r4"), model.Model);
        long before = model.Model.Device.AllocatedBytes;
        GenerationRequest request = new(model.Prompts.EncodeText("The lesion is a small one in the", []), Long);
        var ended = new List<Sequence>();
        using (BatchScheduler scheduler = MixedRequests.Scheduler(model, Tight(model, request), ended.Add))
        {
            using CancellationTokenSource leaving = new();
            scheduler.Add(request, null, CancellationToken.None);
            Sequence second = scheduler.Add(request with { Adapter = adapter }, null, leaving.Token), third = scheduler.Add(request, null, CancellationToken.None);
            Assert.Equal(3 * request.TokenCount, scheduler.WaitingTokens);
            while (!second.WasPreempted) Assert.True(scheduler.Step());

            // The third had to step back before.
            Assert.True(third.WasPreempted);
            Assert.Equal((1, 2, 2 * request.TokenCount, 2L), (scheduler.RunningCount, scheduler.WaitingCount, scheduler.WaitingTokens, scheduler.Preemptions));
            Assert.True(scheduler.Uses(adapter));
            Assert.InRange(second.Result().Tokens.Count, 1, 199);
            leaving.Cancel();
            Assert.True(scheduler.Step());
            Assert.Equal((FinishReason.Cancelled, 1), (second.Result().FinishReason, ended.Count));
            Assert.Equal((1, request.TokenCount), (scheduler.WaitingCount, scheduler.WaitingTokens));
            Assert.False(scheduler.Uses(adapter));

            var failure = new InvalidOperationException("over");
            scheduler.Abandon(failure);
            Assert.Equal((3, 0, 0L, 0L), (ended.Count, scheduler.WaitingCount, scheduler.WaitingTokens, scheduler.CacheBytes));
            Assert.Equal((null, failure), (second.Failure, third.Failure));
        }

        Assert.Equal(before, model.Model.Device.AllocatedBytes);
    }

    [Fact]
    public void Who_stepped_back_goes_on_before_anybody_new_starts()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        GenerationRequest request = new(model.Prompts.EncodeText("The lesion is a small one in the", []), Long), brief = request with { Parameters = Long with { MaxTokens = 3 } };
        using BatchScheduler scheduler = MixedRequests.Scheduler(model, Tight(model, request), _ => { });
        Sequence[] started = [.. Enumerable.Range(0, 3).Select(_ => scheduler.Add(request, null, CancellationToken.None))];
        while (scheduler.Preemptions == 0) scheduler.Step();
        Sequence late = scheduler.Add(brief, null, CancellationToken.None);
        while (late.Cache is null) Assert.True(scheduler.Step());
        Assert.Equal(0, scheduler.WaitingCount);
        while (scheduler.Step())
        {
        }

        Assert.All(started, sequence => Assert.Equal((200, FinishReason.Length), (sequence.Result().Tokens.Count, sequence.Result().FinishReason)));
        // Its time in the queue is from its coming to its first start: what it lost by stepping back is time under way.
        Assert.All(started, sequence => Assert.True(sequence.Result().QueueSeconds < sequence.Result().PrefillSeconds + sequence.Result().DecodeSeconds));
    }

    [Fact]
    public async Task A_drain_waits_for_those_who_stepped_back()
    {
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        GenerationRequest request = new(model.Prompts.EncodeText("The lesion is a small one in the", []), Long);
        using var loop = new RequestLoop(model, Tight(model, request), long.MaxValue);
        IReadOnlyList<PendingAnswer> answers = loop.Submit([request, request, request], TestContext.Current.CancellationToken);
        await loop.DrainAsync(TimeSpan.FromMinutes(2));
        foreach (PendingAnswer answer in answers) Assert.Equal((200, FinishReason.Length), ((await answer.Result).Tokens.Count, (await answer.Result).FinishReason));
        Assert.InRange(loop.Status.Preemptions, 1, 100);
        Assert.Equal((0, 0, 0L, 0L), (loop.Status.Running, loop.Status.Waiting, loop.Status.WaitingTokens, loop.Status.CacheBytes));
    }

    // Room for one whole answer, and for the beginnings of several.
    private static BatchLimits Tight(GemmaModel model, GenerationRequest request) => new() { MaxCacheBytes = model.Model.CacheBytes((int)request.TokenCount), Headroom = 4 };

    // What the others do not do: a grammar, likelihoods of given labels, several candidates, and vectors of long prompts.
    private static IEnumerable<GenerationRequest> OtherKinds(GemmaModel model)
    {
        Prompt text = model.Prompts.EncodeText("Name the finding as JSON: ", []), document = model.Prompts.EncodeText(string.Concat(Enumerable.Repeat("no lesion is seen, ", 110)), []);
        Constraint schema = model.Constraints.JsonSchema("""{"type":"object","properties":{"finding":{"type":"string","maxLength":30}},"required":["finding"]}""");
        yield return new(text, new SamplingParams { MaxTokens = 60, Constraint = schema, Temperature = 1.2f, Seed = 3 });
        yield return new(text, new SamplingParams { MaxTokens = 40, Logprobs = 3, Temperature = 0.8f, MinP = 0.05f, RepetitionPenalty = 1.2f, Seed = 9, IgnoreEos = true });
        yield return new(document, new SamplingParams { MaxTokens = 8 }) { Scoring = new Scoring([20, 30, 40, 50], [60, 70]) };
        yield return Embeddings.Request(document, model.Prompts.Tokenizer);
    }

    private static (List<string> Bits, long Preemptions, Sequence First) Answers(GemmaModel model, BatchLimits limits, List<GenerationRequest> requests, int joinEvery)
    {
        using BatchScheduler scheduler = MixedRequests.Scheduler(model, limits, _ => { });
        List<Sequence> sequences = MixedRequests.Run(scheduler, requests, joinEvery, () => Assert.InRange(scheduler.CacheBytes, 0, limits.MaxCacheBytes));
        return ([.. sequences.Select(MixedRequests.Bits)], scheduler.Preemptions, sequences[0]);
    }
}
