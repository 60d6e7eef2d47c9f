using System.Globalization;
using System.Text.Json;
using System.Threading.Channels;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Models.Lora;
using GemmaCore.Server.Guards;
using GemmaCore.Server.Observability;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.OpenAi;

/// <summary><c>POST /v1/chat/completions</c>.</summary>
internal sealed class ChatCompletionsApi(ServedModel served, ServingMetrics metrics)
{
    public async Task HandleAsync(HttpContext context)
    {
        using JsonDocument document = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        ChatRequest request = ChatRequest.Read(RequestField.Body(document.RootElement), served);
        LoraAdapter? adapter = served.Resolve(request.Model);
        Prompt prompt = await served.EncodeAsync(prompts => prompts.Encode(request.Messages, addGenerationPrompt: true), context.RequestAborted).ConfigureAwait(false);
        string tenant = ApiKeyGuard.TenantOf(context);
        GenerationRequest[] asked =
        [
            .. from choice in Enumerable.Range(0, request.Sampling.Choices)
               select new GenerationRequest(prompt, request.Sampling.For(prompt, choice, served, "max_tokens")) { Adapter = adapter, Tenant = tenant },
        ];
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        try
        {
            IReadOnlyList<PendingAnswer> answers = served.Loop.Submit(asked, leaving.Token);
            metrics.Watch(request.Model, answers, request.Sampling.Choices);
            var head = new Head("chatcmpl-" + Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture), DateTimeOffset.UtcNow.ToUnixTimeSeconds(), request);
            if (request.Sampling.Stream) await StreamAsync(context, head, prompt, answers).ConfigureAwait(false);
            else await WriteAsync(context, head, prompt, await AnswerEvents.CollectAsync(answers, context.RequestAborted).ConfigureAwait(false)).ConfigureAwait(false);
        }
        finally
        {
            await leaving.CancelAsync().ConfigureAwait(false); // whatever is still being answered has no reader
        }
    }

    private Task WriteAsync(HttpContext context, Head head, Prompt prompt, GenerationResult[] results)
    {
        ChatChoice[] choices = [.. results.Select((result, choice) => new ChatChoice(
            choice, new AssistantMessage("assistant", result.Text, null), Logprobs(head.Request, result.Tokens), FinishReasonOf(result)))];
        return Reply.WriteAsync(
            context, new ChatCompletion(head.Id, "chat.completion", head.Created, head.Request.Model, choices, UsageOf(prompt, results.Sum(result => result.Tokens.Count))),
            WireJson.Default.ChatCompletion);
    }

    private async Task StreamAsync(HttpContext context, Head head, Prompt prompt, IReadOnlyList<PendingAnswer> answers)
    {
        var events = new ServerSentEvents(context);
        await events.BeginAsync().ConfigureAwait(false);
        int tokens = 0;
        try
        {
            for (int choice = 0; choice < answers.Count; choice++)
                await events.SendAsync(head.Chunk(new ChunkChoice(choice, new ChunkDelta("assistant", ""), null, null)), WireJson.Default.ChatChunk).ConfigureAwait(false);
            ChannelReader<AnswerEvent> reader = AnswerEvents.Of(answers);
            while (await events.WaitAsync(reader).ConfigureAwait(false))
            {
                while (reader.TryRead(out AnswerEvent happened))
                {
                    if (happened.Result is null) tokens++;
                    if (Chunk(head.Request, happened) is { } choice) await events.SendAsync(head.Chunk(choice), WireJson.Default.ChatChunk).ConfigureAwait(false);
                }
            }

            if (head.Request.Sampling.IncludeUsage)
                await events.SendAsync(head.Chunk(null) with { Usage = UsageOf(prompt, tokens) }, WireJson.Default.ChatChunk).ConfigureAwait(false);
            await events.DoneAsync().ConfigureAwait(false);
        }
        catch (Exception error) when (!context.RequestAborted.IsCancellationRequested) // the status is sent: what went wrong can only be another event
        {
            await events.SendAsync(ErrorReply.Body(ErrorReply.Describe(error)), WireJson.Default.ErrorBody).ConfigureAwait(false);
        }
    }

    // Nothing to send for a token whose text is held back, unless its log-probability is wanted.
    private ChunkChoice? Chunk(ChatRequest request, AnswerEvent happened)
    {
        if (happened.Result is { } result) return new ChunkChoice(happened.Choice, new ChunkDelta(null, null), null, FinishReasonOf(result));
        ChatLogprobs? logprobs = Logprobs(request, [happened.Token]);
        if (happened.Token.Text.Length == 0 && logprobs is not { Content.Count: > 0 }) return null;
        return new ChunkChoice(happened.Choice, new ChunkDelta(null, happened.Token.Text), logprobs, null);
    }

    private ChatLogprobs? Logprobs(ChatRequest request, IEnumerable<GeneratedToken> tokens) => !request.Logprobs
        ? null
        : new ChatLogprobs(
            [.. from token in tokens where !TokenReports.IsEnd(token, request.Sampling.Parameters, served.Model.Defaults) select TokenReports.Of(token, served.Prompts.Tokenizer)]);

    internal static string FinishReasonOf(GenerationResult result) => result.FinishReason == FinishReason.Stop ? "stop" : "length";

    internal static Usage UsageOf(Prompt prompt, int answered) => new(prompt.Ids.Length, answered, prompt.Ids.Length + answered);

    /// <summary>What all chunks of an answer share.</summary>
    private sealed record Head(string Id, long Created, ChatRequest Request)
    {
        public ChatChunk Chunk(ChunkChoice? choice) => new(Id, "chat.completion.chunk", Created, Request.Model, choice is null ? [] : [choice], null);
    }
}
