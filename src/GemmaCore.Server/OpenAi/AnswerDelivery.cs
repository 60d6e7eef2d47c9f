using System.Globalization;
using System.Text.Json.Serialization.Metadata;
using System.Threading.Channels;
using GemmaCore.Generation;
using GemmaCore.Server.Observability;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.OpenAi;

/// <summary>Hands a request's answers to its client, whole or as they come; what its client no longer waits for is not answered on.</summary>
internal static class AnswerDelivery
{
    /// <summary>A name for a request's answers: the kind, and 32 random digits.</summary>
    public static string NewId(string kind) => kind + Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture);

    /// <summary>Queues what was asked, and then writes all answers or streams them, as <paramref name="sampling"/> says.</summary>
    /// <param name="context">The client.</param>
    /// <param name="served">Who answers.</param>
    /// <param name="metrics">Who counts.</param>
    /// <param name="operation">What the request is to OpenTelemetry: <c>chat</c> or <c>text_completion</c>.</param>
    /// <param name="id">The answers' name.</param>
    /// <param name="model">The model's name in the request.</param>
    /// <param name="sampling">How to answer.</param>
    /// <param name="asked">What to answer.</param>
    /// <param name="reasonOf">Why an answer has ended, in OpenAI's words.</param>
    /// <param name="write">Sends the whole answers.</param>
    /// <param name="stream">Sends them as they come.</param>
    public static async Task RunAsync(
        HttpContext context, ServedModel served, ServingMetrics metrics, string operation, string id, string model, SamplingFields sampling, GenerationRequest[] asked,
        Func<GenerationResult, string> reasonOf, Func<GenerationResult[], Task> write, Func<IReadOnlyList<PendingAnswer>, Task> stream)
    {
        using AnswerTelemetry telemetry = AnswerTelemetry.Begin(operation, model, id, asked[0].Parameters, sampling.Choices, sampling.Stream, isClient: false);
        if (sampling.Stream) await DeliverAsync(context, served, metrics, telemetry, model, sampling.Choices, asked, reasonOf, stream).ConfigureAwait(false);
        else await DeliverWholeAsync(context, served, metrics, telemetry, model, sampling.Choices, asked, reasonOf, write).ConfigureAwait(false);
    }

    /// <summary>Queues what was asked and writes the results when all are there; they are no text.</summary>
    /// <param name="context">The client.</param>
    /// <param name="served">Who answers.</param>
    /// <param name="metrics">Who counts.</param>
    /// <param name="telemetry">The request's span, which stays the caller's.</param>
    /// <param name="model">The model's name in the request.</param>
    /// <param name="asked">What to answer.</param>
    /// <param name="write">Sends the results.</param>
    public static Task RunWholeAsync(
        HttpContext context, ServedModel served, ServingMetrics metrics, AnswerTelemetry telemetry, string model, GenerationRequest[] asked, Func<GenerationResult[], Task> write) =>
        DeliverWholeAsync(context, served, metrics, telemetry, model, 1, asked, AnswerTelemetry.ReasonOf, write);

    private static Task DeliverWholeAsync(
        HttpContext context, ServedModel served, ServingMetrics metrics, AnswerTelemetry telemetry, string model, int choices, GenerationRequest[] asked,
        Func<GenerationResult, string> reasonOf, Func<GenerationResult[], Task> write) => DeliverAsync(
        context, served, metrics, telemetry, model, choices, asked, reasonOf,
        async answers => await write(await AnswerEvents.CollectAsync(answers, context.RequestAborted).ConfigureAwait(false)).ConfigureAwait(false));

    private static async Task DeliverAsync(
        HttpContext context, ServedModel served, ServingMetrics metrics, AnswerTelemetry telemetry, string model, int choices, GenerationRequest[] asked,
        Func<GenerationResult, string> reasonOf, Func<IReadOnlyList<PendingAnswer>, Task> deliver)
    {
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        try
        {
            IReadOnlyList<PendingAnswer> answers = served.Loop.Submit(asked, leaving.Token);
            metrics.Watch(model, answers, choices, reasonOf);
            await deliver(answers).ConfigureAwait(false);
            telemetry.End(answers, reasonOf);
        }
        catch (Exception error)
        {
            telemetry.Fail(error);
            throw;
        }
        finally
        {
            await leaving.CancelAsync().ConfigureAwait(false); // whatever is still being answered has no reader
        }
    }

    /// <summary>Sends answers as events, to the end.</summary>
    /// <param name="context">The client.</param>
    /// <param name="answers">What is being answered.</param>
    /// <param name="type">How an event is written.</param>
    /// <param name="opening">Events before the first token, one for each answer or none.</param>
    /// <param name="chunks">The events for something that happened, often one and sometimes none.</param>
    /// <param name="count">Puts into a chunk of an answer, by its index, how many tokens this has so far; null where nobody wants it.</param>
    /// <param name="usage">The last event, given the number of tokens of all answers, and for each how many of its prompt's were there already; null for none.</param>
    public static async Task StreamAsync<T>(
        HttpContext context, IReadOnlyList<PendingAnswer> answers, JsonTypeInfo<T> type, IEnumerable<T> opening, Func<AnswerEvent, IEnumerable<T>> chunks,
        Func<T, int, int, T>? count, Func<int, int[], T>? usage)
        where T : class
    {
        var events = new ServerSentEvents(context);
        await events.BeginAsync().ConfigureAwait(false);
        int[] tokens = new int[answers.Count], cached = new int[answers.Count];
        Task SendAsync(T chunk, int choice) => events.SendAsync(count is null ? chunk : count(chunk, choice, tokens[choice]), type);
        try
        {
            foreach ((int choice, T first) in opening.Index()) await SendAsync(first, choice).ConfigureAwait(false);
            ChannelReader<AnswerEvent> reader = AnswerEvents.Of(answers);
            while (await events.WaitAsync(reader).ConfigureAwait(false))
            {
                while (reader.TryRead(out AnswerEvent happened))
                {
                    if (happened.Result is null) tokens[happened.Choice]++;
                    else cached[happened.Choice] = happened.Result.CachedTokenCount;
                    foreach (T next in chunks(happened)) await SendAsync(next, happened.Choice).ConfigureAwait(false);
                }
            }

            if (usage is not null) await events.SendAsync(usage(tokens.Sum(), cached), type).ConfigureAwait(false);
            await events.DoneAsync().ConfigureAwait(false);
        }
        catch (Exception error) when (!context.RequestAborted.IsCancellationRequested) // the status is sent: what went wrong can only be another event
        {
            await events.SendAsync(ErrorReply.Body(ErrorReply.Describe(error)), WireJson.Default.ErrorBody).ConfigureAwait(false);
        }
    }
}
