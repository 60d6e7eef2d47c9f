using System.Threading.Channels;
using GemmaCore.Generation;

namespace GemmaCore.Server.OpenAi;

/// <summary>Something that happened to one of several answers.</summary>
/// <param name="Choice">Which answer.</param>
/// <param name="Token">Its next token, unless it has ended.</param>
/// <param name="Result">The whole answer, when it has ended.</param>
internal readonly record struct AnswerEvent(int Choice, GeneratedToken Token, GenerationResult? Result);

/// <summary>Several answers as one stream of events, in the order in which they come.</summary>
internal static class AnswerEvents
{
    /// <summary>Ends with the error of the first answer that fails.</summary>
    public static ChannelReader<AnswerEvent> Of(IReadOnlyList<PendingAnswer> answers)
    {
        var events = Channel.CreateUnbounded<AnswerEvent>(new UnboundedChannelOptions { SingleReader = true });
        _ = PumpAllAsync(answers, events.Writer);
        return events.Reader;
    }

    /// <summary>Waits for the whole answers.</summary>
    /// <exception cref="RequestException">The server was told to stop before they were complete.</exception>
    public static async Task<GenerationResult[]> CollectAsync(IReadOnlyList<PendingAnswer> answers, CancellationToken cancellation)
    {
        GenerationResult[] results = await Task.WhenAll(answers.Select(answer => answer.Result)).ConfigureAwait(false);
        cancellation.ThrowIfCancellationRequested();
        foreach (GenerationResult result in results) RequireComplete(result);
        return results;
    }

    private static async Task PumpAllAsync(IReadOnlyList<PendingAnswer> answers, ChannelWriter<AnswerEvent> events)
    {
        try
        {
            await Task.WhenAll(answers.Select((answer, choice) => PumpAsync(answer, choice, events))).ConfigureAwait(false);
            events.Complete();
        }
        catch (Exception error) // reaches the reader of the events
        {
            events.Complete(error);
        }
    }

    private static async Task PumpAsync(PendingAnswer answer, int choice, ChannelWriter<AnswerEvent> events)
    {
        await foreach (GeneratedToken token in answer.Tokens.ReadAllAsync().ConfigureAwait(false)) events.TryWrite(new AnswerEvent(choice, token, null));
        GenerationResult result = await answer.Result.ConfigureAwait(false);
        RequireComplete(result);
        events.TryWrite(new AnswerEvent(choice, default, result));
    }

    private static void RequireComplete(GenerationResult result)
    {
        if (result.FinishReason == FinishReason.Cancelled) throw new RequestException(503, "unavailable_error", "The server is shutting down", code: "shutting_down", retryAfter: 5);
    }
}
