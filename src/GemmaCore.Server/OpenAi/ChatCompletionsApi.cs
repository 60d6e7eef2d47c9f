using System.Text.Json;
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
    private const string ToolCalls = "tool_calls";

    public async Task HandleAsync(HttpContext context)
    {
        using JsonDocument document = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        ChatRequest request = ChatRequest.Read(RequestField.Body(document.RootElement), served);
        LoraAdapter? adapter = served.Resolve(request.Model, context);
        IReadOnlyList<ChatMessage> messages = await served.Images.FetchAsync(request.Messages, context.RequestAborted).ConfigureAwait(false);
        Prompt prompt = await served.EncodeAsync(prompts => prompts.Encode(messages, addGenerationPrompt: true), context.RequestAborted).ConfigureAwait(false);
        string tenant = ApiKeyGuard.TenantOf(context);
        GenerationRequest[] asked =
        [
            .. from choice in Enumerable.Range(0, request.Sampling.Choices)
               select new GenerationRequest(prompt, request.Sampling.For(prompt, choice, served, "max_tokens")) { Adapter = adapter, Tenant = tenant, CacheSalt = request.Sampling.CacheSalt },
        ];
        var head = new Head(AnswerDelivery.NewId("chatcmpl-"), DateTimeOffset.UtcNow.ToUnixTimeSeconds(), request);
        await AnswerDelivery.RunAsync(
            context, served, metrics, "chat", head.Id, request.Model, request.Sampling, asked, result => ReasonOf(request, result), results => WriteAsync(context, head, prompt, results),
            answers => StreamAsync(context, head, prompt, answers)).ConfigureAwait(false);
    }

    private Task WriteAsync(HttpContext context, Head head, Prompt prompt, GenerationResult[] results)
    {
        ChatChoice[] choices = [.. results.Select((result, choice) => Choice(head.Request, result, choice))];
        return Reply.WriteAsync(
            context, new ChatCompletion(head.Id, "chat.completion", head.Created, head.Request.Model, choices, UsageOf(prompt, results.Sum(result => result.Tokens.Count), [.. results.Select(result => result.CachedTokenCount)], results.Sum(result => result.ThoughtTokenCount))),
            WireJson.Default.ChatCompletion);
    }

    private Task StreamAsync(HttpContext context, Head head, Prompt prompt, IReadOnlyList<PendingAnswer> answers)
    {
        ChatAnswer[] read = [.. answers.Select(_ => new ChatAnswer(head.Request.Tools))];
        return AnswerDelivery.StreamAsync(
            context, answers, WireJson.Default.ChatChunk,
            Enumerable.Range(0, answers.Count).Select(choice => head.Chunk(new ChunkChoice(choice, new ChunkDelta("assistant", ""), null, null))),
            happened => Choices(head.Request, happened, read[happened.Choice]).Select(head.Chunk),
            head.Request.Sampling.CountsAlong ? (chunk, _, tokens) => chunk with { Usage = Usage.SoFar(prompt.Ids.Length, tokens) } : null,
            head.Request.Sampling.IncludeUsage ? (tokens, cached) => head.Chunk(null) with { Usage = UsageOf(prompt, tokens, cached, read.Sum(answer => answer.ThoughtTokens)) } : null);
    }

    private ChatChoice Choice(ChatRequest request, GenerationResult result, int choice)
    {
        (string? thought, string? text, IReadOnlyList<ToolCallReport>? calls) = ChatAnswer.Read(result, request.Tools);
        return new ChatChoice(
            choice, new AssistantMessage("assistant", text, null, calls, thought), Logprobs(request, result.Tokens), calls is null ? AnswerTelemetry.ReasonOf(result) : ToolCalls);
    }

    // Nothing to send for a token whose text is held back, unless its log-probability is wanted.
    private IEnumerable<ChunkChoice> Choices(ChatRequest request, AnswerEvent happened, ChatAnswer answer)
    {
        if (happened.Result is not { } result)
        {
            ChatLogprobs? logprobs = Logprobs(request, [happened.Token]);
            (string thought, string text) = answer.Push(happened.Token.Text);
            return thought.Length + text.Length == 0 && logprobs is not { Content.Count: > 0 } ? [] : [new ChunkChoice(happened.Choice, Delta(thought, text), logprobs, null)];
        }

        (string lastThought, string rest, IReadOnlyList<ToolCallReport>? calls) = answer.Finish();
        var end = new ChunkChoice(happened.Choice, new ChunkDelta(null, null), null, calls is null ? AnswerTelemetry.ReasonOf(result) : ToolCalls);
        if (calls is not null) return [new ChunkChoice(happened.Choice, new ChunkDelta(null, null, ChatAnswer.Numbered(calls)), null, null), end];
        return lastThought.Length + rest.Length > 0 ? [new ChunkChoice(happened.Choice, Delta(lastThought, rest), null, null), end] : [end];
    }

    private static ChunkDelta Delta(string thought, string text) => thought.Length == 0 ? new ChunkDelta(null, text) : new ChunkDelta(null, text.Length > 0 ? text : null, null, thought);

    private ChatLogprobs? Logprobs(ChatRequest request, IEnumerable<GeneratedToken> tokens) => !request.Logprobs
        ? null
        : new ChatLogprobs(
            [.. from token in tokens where !TokenReports.IsEnd(token, request.Sampling.Parameters, served.Model.Defaults) select TokenReports.Of(token, served.Prompts.Tokenizer)]);

    // Of a cancelled answer there may be half a call.
    private static string ReasonOf(ChatRequest request, GenerationResult result) =>
        result.FinishReason != FinishReason.Cancelled && request.Tools.Tools.Count > 0 && ChatAnswer.Read(result, request.Tools).Calls is not null ? ToolCalls : AnswerTelemetry.ReasonOf(result);

    private static Usage UsageOf(Prompt prompt, int answered, int[] cached, int thought) =>
        Usage.Of(prompt.Ids.Length, answered, cached, cached.Length) with { CompletionTokensDetails = CompletionTokensDetails.Of(thought) };

    /// <summary>What all chunks of an answer share.</summary>
    private sealed record Head(string Id, long Created, ChatRequest Request)
    {
        public ChatChunk Chunk(ChunkChoice? choice) => new(Id, "chat.completion.chunk", Created, Request.Model, choice is null ? [] : [choice], null);
    }
}
