using System.Text.Json;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Models.Lora;
using GemmaCore.Server.Guards;
using GemmaCore.Server.Observability;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.OpenAi;

/// <summary><c>POST /v1/completions</c>: raw text goes on, without a chat template.</summary>
internal sealed class CompletionsApi(ServedModel served, ServingMetrics metrics)
{
    public async Task HandleAsync(HttpContext context)
    {
        using JsonDocument document = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        CompletionRequest request = CompletionRequest.Read(RequestField.Body(document.RootElement), served);
        LoraAdapter? adapter = served.Resolve(request.Model, context);
        Prompt[] prompts = await Task.WhenAll(request.Prompts.Select(prompt => served.EncodeAsync(prompt, context.RequestAborted))).ConfigureAwait(false);
        string tenant = ApiKeyGuard.TenantOf(context);
        GenerationRequest[] asked =
        [
            .. from prompt in prompts
               from choice in Enumerable.Range(0, request.Sampling.Choices)
               select new GenerationRequest(prompt, request.Sampling.For(prompt, choice, served, "max_tokens")) { Adapter = adapter, Tenant = tenant, CacheSalt = request.Sampling.CacheSalt },
        ];
        var head = new TextCompletion(AnswerDelivery.NewId("cmpl-"), "text_completion", DateTimeOffset.UtcNow.ToUnixTimeSeconds(), request.Model, [], null);
        await AnswerDelivery.RunAsync(
            context, served, metrics, "text_completion", head.Id, request.Model, request.Sampling, asked, AnswerTelemetry.ReasonOf, results => WriteAsync(context, head, request, prompts, results),
            answers => StreamAsync(context, head, request, prompts, answers)).ConfigureAwait(false);
    }

    private Task WriteAsync(HttpContext context, TextCompletion head, CompletionRequest request, Prompt[] prompts, GenerationResult[] results)
    {
        TextChoice[] choices = [.. results.Select((result, choice) => new TextChoice(
            choice, Echo(request, prompts, choice) + result.Text, Logprobs(request, result.Tokens, 0), AnswerTelemetry.ReasonOf(result)))];
        Usage usage = UsageOf(request, prompts, results.Sum(result => result.Tokens.Count), [.. results.Select(result => result.CachedTokenCount)]);
        return Reply.WriteAsync(context, head with { Choices = choices, Usage = usage }, WireJson.Default.TextCompletion);
    }

    private Task StreamAsync(HttpContext context, TextCompletion head, CompletionRequest request, Prompt[] prompts, IReadOnlyList<PendingAnswer> answers)
    {
        int[] offsets = new int[answers.Count];
        return AnswerDelivery.StreamAsync(
            context, answers, WireJson.Default.TextCompletion,
            Enumerable.Range(0, request.Echo ? answers.Count : 0).Select(choice => head with { Choices = [new TextChoice(choice, Echo(request, prompts, choice), null, null)] }),
            happened => Chunk(request, happened, offsets) is { } choice ? [head with { Choices = [choice] }] : [],
            request.Sampling.CountsAlong ? (chunk, choice, tokens) => chunk with { Usage = Usage.SoFar(prompts[choice / request.Sampling.Choices].Ids.Length, tokens) } : null,
            request.Sampling.IncludeUsage ? (tokens, cached) => head with { Usage = UsageOf(request, prompts, tokens, cached) } : null);
    }

    private TextChoice? Chunk(CompletionRequest request, AnswerEvent happened, int[] offsets)
    {
        if (happened.Result is { } result) return new TextChoice(happened.Choice, "", null, AnswerTelemetry.ReasonOf(result));
        TextLogprobs? logprobs = Logprobs(request, [happened.Token], offsets[happened.Choice]);
        offsets[happened.Choice] += logprobs?.Tokens.Sum(token => token.Length) ?? 0;
        return happened.Token.Text.Length > 0 || logprobs is { Tokens.Count: > 0 } ? new TextChoice(happened.Choice, happened.Token.Text, logprobs, null) : null;
    }

    private TextLogprobs? Logprobs(CompletionRequest request, IEnumerable<GeneratedToken> tokens, int offset) => request.Logprobs
        ? TokenReports.Of(tokens.Where(token => !TokenReports.IsEnd(token, request.Sampling.Parameters, served.Model.Defaults)), served.Prompts.Tokenizer, offset)
        : null;

    private string Echo(CompletionRequest request, Prompt[] prompts, int choice) =>
        request.Echo ? served.Prompts.Tokenizer.Decode(prompts[choice / request.Sampling.Choices].Ids, skipSpecialTokens: true) : "";

    private static Usage UsageOf(CompletionRequest request, Prompt[] prompts, int answered, int[] cached) =>
        Usage.Of(prompts.Sum(prompt => prompt.Ids.Length), answered, cached, request.Sampling.Choices);
}
