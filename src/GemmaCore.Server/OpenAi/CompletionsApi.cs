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

/// <summary><c>POST /v1/completions</c>: raw text goes on, without a chat template.</summary>
internal sealed class CompletionsApi(ServedModel served, ServingMetrics metrics)
{
    public async Task HandleAsync(HttpContext context)
    {
        using JsonDocument document = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        CompletionRequest request = CompletionRequest.Read(RequestField.Body(document.RootElement), served);
        LoraAdapter? adapter = served.Resolve(request.Model);
        Prompt[] prompts = await Task.WhenAll(request.Prompts.Select(prompt => served.EncodeAsync(prompt, context.RequestAborted))).ConfigureAwait(false);
        string tenant = ApiKeyGuard.TenantOf(context);
        GenerationRequest[] asked =
        [
            .. from prompt in prompts
               from choice in Enumerable.Range(0, request.Sampling.Choices)
               select new GenerationRequest(prompt, request.Sampling.For(prompt, choice, served, "max_tokens")) { Adapter = adapter, Tenant = tenant },
        ];
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        try
        {
            IReadOnlyList<PendingAnswer> answers = served.Loop.Submit(asked, leaving.Token);
            metrics.Watch(request.Model, answers, request.Sampling.Choices);
            var head = new TextCompletion(
                "cmpl-" + Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture), "text_completion", DateTimeOffset.UtcNow.ToUnixTimeSeconds(), request.Model, [], null);
            if (request.Sampling.Stream) await StreamAsync(context, head, request, prompts, answers).ConfigureAwait(false);
            else await WriteAsync(context, head, request, prompts, await AnswerEvents.CollectAsync(answers, context.RequestAborted).ConfigureAwait(false)).ConfigureAwait(false);
        }
        finally
        {
            await leaving.CancelAsync().ConfigureAwait(false); // whatever is still being answered has no reader
        }
    }

    private Task WriteAsync(HttpContext context, TextCompletion head, CompletionRequest request, Prompt[] prompts, GenerationResult[] results)
    {
        TextChoice[] choices = [.. results.Select((result, choice) => new TextChoice(
            choice, Echo(request, prompts, choice) + result.Text, Logprobs(request, result.Tokens, 0), ChatCompletionsApi.FinishReasonOf(result)))];
        return Reply.WriteAsync(context, head with { Choices = choices, Usage = UsageOf(prompts, results.Sum(result => result.Tokens.Count)) }, WireJson.Default.TextCompletion);
    }

    private async Task StreamAsync(HttpContext context, TextCompletion head, CompletionRequest request, Prompt[] prompts, IReadOnlyList<PendingAnswer> answers)
    {
        var events = new ServerSentEvents(context);
        await events.BeginAsync().ConfigureAwait(false);
        int tokens = 0;
        int[] offsets = new int[answers.Count];
        try
        {
            for (int choice = 0; request.Echo && choice < answers.Count; choice++)
                await events.SendAsync(head with { Choices = [new TextChoice(choice, Echo(request, prompts, choice), null, null)] }, WireJson.Default.TextCompletion).ConfigureAwait(false);
            ChannelReader<AnswerEvent> reader = AnswerEvents.Of(answers);
            while (await events.WaitAsync(reader).ConfigureAwait(false))
            {
                while (reader.TryRead(out AnswerEvent happened))
                {
                    if (happened.Result is null) tokens++;
                    if (Chunk(request, happened, offsets) is { } choice)
                        await events.SendAsync(head with { Choices = [choice] }, WireJson.Default.TextCompletion).ConfigureAwait(false);
                }
            }

            if (request.Sampling.IncludeUsage) await events.SendAsync(head with { Usage = UsageOf(prompts, tokens) }, WireJson.Default.TextCompletion).ConfigureAwait(false);
            await events.DoneAsync().ConfigureAwait(false);
        }
        catch (Exception error) when (!context.RequestAborted.IsCancellationRequested) // the status is sent: what went wrong can only be another event
        {
            await events.SendAsync(ErrorReply.Body(ErrorReply.Describe(error)), WireJson.Default.ErrorBody).ConfigureAwait(false);
        }
    }

    private TextChoice? Chunk(CompletionRequest request, AnswerEvent happened, int[] offsets)
    {
        if (happened.Result is { } result) return new TextChoice(happened.Choice, "", null, ChatCompletionsApi.FinishReasonOf(result));
        TextLogprobs? logprobs = Logprobs(request, [happened.Token], offsets[happened.Choice]);
        offsets[happened.Choice] += logprobs?.Tokens.Sum(token => token.Length) ?? 0;
        return happened.Token.Text.Length > 0 || logprobs is { Tokens.Count: > 0 } ? new TextChoice(happened.Choice, happened.Token.Text, logprobs, null) : null;
    }

    private TextLogprobs? Logprobs(CompletionRequest request, IEnumerable<GeneratedToken> tokens, int offset) => request.Logprobs
        ? TokenReports.Of(tokens.Where(token => !TokenReports.IsEnd(token, request.Sampling.Parameters, served.Model.Defaults)), served.Prompts.Tokenizer, offset)
        : null;

    private string Echo(CompletionRequest request, Prompt[] prompts, int choice) =>
        request.Echo ? served.Prompts.Tokenizer.Decode(prompts[choice / request.Sampling.Choices].Ids, skipSpecialTokens: true) : "";

    private static Usage UsageOf(Prompt[] prompts, int answered)
    {
        int asked = prompts.Sum(prompt => prompt.Ids.Length);
        return new Usage(asked, answered, asked + answered);
    }
}
