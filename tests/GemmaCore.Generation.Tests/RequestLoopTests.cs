using GemmaCore.Inputs;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

public sealed class RequestLoopTests : IDisposable
{
    private readonly GemmaModel _model = GemmaModel.Load(Goldens.DemoPath("model"), 2);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _model.Dispose();

    [Fact]
    public async Task Requests_of_many_threads_get_the_answers_of_a_plain_run()
    {
        GenerationRequest[] requests = [.. Enumerable.Range(0, 16).Select(i => Request($"A question about lesion number {i % 4} is", 4 + i % 5))];
        string[] expected = [.. _model.Generate([.. requests.Select(request => (request.Prompt, request.Parameters))], null, Token).Select(result => result.Text)];
        using var loop = new RequestLoop(_model, new BatchLimits { MaxSequences = 5 }, long.MaxValue);

        string[] texts = await Task.WhenAll(requests.Select(request => Task.Run(
            async () =>
            {
                PendingAnswer answer = loop.Submit(request, Token);
                string text = "";
                await foreach (GeneratedToken token in answer.Tokens.ReadAllAsync(Token)) text += token.Text;
                Assert.Equal((await answer.Result).Text, text);
                return text;
            },
            Token)));

        Assert.Equal(expected, texts);
    }

    [Fact]
    public async Task A_full_queue_refuses_and_what_was_taken_is_answered()
    {
        GenerationRequest request = Request("A question about a lesion is", 40);
        using var loop = new RequestLoop(_model, new BatchLimits { MaxSequences = 1 }, 2 * request.TokenCount);
        var taken = new List<PendingAnswer>();
        QueueFullException? full = null;
        for (int i = 0; i < 100 && full is null; i++)
        {
            try
            {
                taken.Add(loop.Submit(request, Token));
            }
            catch (QueueFullException error)
            {
                full = error;
            }
        }

        Assert.Contains($"{2 * request.TokenCount} are allowed", full!.Message, StringComparison.Ordinal);
        Assert.InRange(taken.Count, 2, 99);
        foreach (PendingAnswer answer in taken) Assert.Equal(40, (await answer.Result).Tokens.Count);
    }

    [Fact]
    public async Task A_drain_answers_what_is_under_way_and_takes_nothing_more()
    {
        using var loop = new RequestLoop(_model, new BatchLimits { MaxSequences = 2 }, long.MaxValue);
        PendingAnswer[] answers = [.. Enumerable.Range(0, 4).Select(_ => loop.Submit(Request("A question about a lesion is", 30), Token))];
        Task drain = loop.DrainAsync(TimeSpan.FromMinutes(2));
        Assert.Throws<LoopClosedException>(() => loop.Submit(Request("One more", 3), Token));
        await drain;
        foreach (PendingAnswer answer in answers) Assert.Equal(FinishReason.Length, (await answer.Result).FinishReason);
    }

    [Fact]
    public async Task A_drain_that_runs_out_of_time_cancels_the_rest()
    {
        using var loop = new RequestLoop(_model, new BatchLimits(), long.MaxValue);
        PendingAnswer answer = loop.Submit(Request("A question about a lesion is", 8000), Token);
        await answer.Tokens.ReadAsync(Token);
        await loop.DrainAsync(TimeSpan.FromMilliseconds(1));
        Assert.Equal(FinishReason.Cancelled, (await answer.Result).FinishReason);
    }

    [Fact]
    public async Task A_client_that_leaves_frees_its_place()
    {
        using var loop = new RequestLoop(_model, new BatchLimits { MaxSequences = 1 }, long.MaxValue);
        using var leaving = new CancellationTokenSource();
        PendingAnswer first = loop.Submit(Request("A question about a lesion is", 8000), leaving.Token), second = loop.Submit(Request("The lesion is", 3), Token);
        await first.Tokens.ReadAsync(Token);
        await leaving.CancelAsync();
        Assert.Equal(3, (await second.Result).Tokens.Count);
        Assert.Equal(FinishReason.Cancelled, (await first.Result).FinishReason);
        Assert.Equal((0, 0, 0L), (loop.Status.Running, loop.Status.Waiting, loop.Status.WaitingTokens));
    }

    [Fact]
    public void A_request_that_never_fits_is_refused_at_once()
    {
        using var loop = new RequestLoop(_model, new BatchLimits { MaxCacheBytes = 1 << 20 }, long.MaxValue);
        Assert.Throws<InputException>(() => loop.Submit(Request("A question about a lesion is", 8000), Token));
        Assert.Throws<ArgumentOutOfRangeException>(() => loop.Submit(Request("A question", 0), Token));
    }

    private GenerationRequest Request(string text, int maxTokens) =>
        new(_model.Prompts.EncodeText(text, []), new SamplingParams { MaxTokens = maxTokens, IgnoreEos = true });
}
