using System.Text.Json;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Models.Lora;
using GemmaCore.Server.Guards;
using GemmaCore.Server.Observability;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.OpenAi;

/// <summary>
/// <c>POST /v1/classify</c>: exact log-probabilities of given labels as the answer to a conversation. The reply is shaped as vLLM's, whose labels are those of a
/// classification head; <c>labels</c>, <c>whole_answer</c> and <c>logprobs</c> are ours.
/// </summary>
internal sealed class ClassifyApi(ServedModel served, ServingMetrics metrics)
{
    public async Task HandleAsync(HttpContext context)
    {
        using JsonDocument document = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        RequestField body = RequestField.Body(document.RootElement);
        body.AllowOnly(["model", "messages", "labels", "whole_answer", "cache_salt", .. SamplingFields.WithoutEffect]);
        string model = body["model"].TextOrNull() ?? served.Name, salt = SamplingFields.Salt(body["cache_salt"]);
        LoraAdapter? adapter = served.Resolve(model, context);
        string[] labels = [.. body["labels"].Required().Items(LabelScores.MostLabels).Select(label => label.Text())];
        bool wholeAnswer = body["whole_answer"].FlagOr(false);
        IReadOnlyList<ChatMessage> messages = await served.Images.FetchAsync(MessageReader.Read(body["messages"], served), context.RequestAborted).ConfigureAwait(false);
        Prompt prompt = await served.EncodeAsync(prompts => prompts.Encode(messages, addGenerationPrompt: true), context.RequestAborted).ConfigureAwait(false);
        LabelScores scores = Scores(prompt, labels, wholeAnswer);
        string tenant = ApiKeyGuard.TenantOf(context);
        GenerationRequest[] asked = [.. scores.Requests.Select(request => request with { Adapter = adapter, Tenant = tenant, CacheSalt = salt })];
        string id = AnswerDelivery.NewId("classify-");
        using AnswerTelemetry telemetry = AnswerTelemetry.Begin("classify", model, isClient: false, id);
        await AnswerDelivery.RunWholeAsync(
            context, served, metrics, telemetry, model, asked,
            results => Reply.WriteAsync(context, Report(id, model, prompt, scores.Of(results), results), WireJson.Default.Classification)).ConfigureAwait(false);
    }

    private LabelScores Scores(Prompt prompt, string[] labels, bool wholeAnswer)
    {
        try
        {
            return new LabelScores(served.Prompts, prompt, labels, wholeAnswer, served.Model.Defaults.StopIds);
        }
        catch (InputException error)
        {
            throw RequestException.Invalid($"Invalid value for 'labels': {error.Message}", "labels", "invalid_value");
        }
    }

    private static Classification Report(string id, string model, Prompt prompt, IReadOnlyList<LabelScore> scores, GenerationResult[] results)
    {
        LabelReport[] labels = [.. scores.Select(score => new LabelReport(score.Label, score.Logprob, score.Probability))];
        var choice = new ClassChoice(0, labels.MaxBy(label => label.Logprob)!.Label, [.. labels.Select(label => label.Prob)], labels.Length, labels);
        return new Classification(
            id, "list", DateTimeOffset.UtcNow.ToUnixTimeSeconds(), model, [choice],
            Usage.Of(prompt.Ids.Length, 0, [.. results.Select(result => result.CachedTokenCount)], results.Length));
    }
}
