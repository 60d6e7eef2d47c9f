using System.Diagnostics;
using System.Diagnostics.Metrics;
using GemmaCore.Inputs;

namespace GemmaCore.Generation;

/// <summary>
/// One request, with all its answers, as OpenTelemetry sees it: a span and measurements under the names of its conventions for generative AI. Sizes, times and
/// settings are recorded, and never what was asked or answered. Without a listener a request costs one look at the clock.
/// </summary>
public sealed class AnswerTelemetry : IDisposable
{
    /// <summary>Name of the <see cref="ActivitySource"/> and of the <see cref="Meter"/>.</summary>
    public const string SourceName = "GemmaCore";

    /// <summary>What this library is called as a provider.</summary>
    public const string ProviderName = "gemmacore";

    // Limits of the histograms, as the conventions advise them.
    private static readonly double[] Seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
    private static readonly double[] FirstTokenSeconds = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
    private static readonly double[] PerTokenSeconds = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];
    private static readonly long[] Tokens = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864];

    private static readonly ActivitySource Source = new(SourceName);
    private static readonly Meter Meter = new(SourceName);
    private static readonly Histogram<double> ClientDuration = Histogram("gen_ai.client.operation.duration", "How long an operation took, as its caller saw it.", Seconds);
    private static readonly Histogram<double> ServerDuration = Histogram("gen_ai.server.request.duration", "From a request's arrival to its last token.", Seconds);
    private static readonly Histogram<double> FirstToken = Histogram("gen_ai.server.time_to_first_token", "From a request's arrival to its first token.", FirstTokenSeconds);
    private static readonly Histogram<double> PerToken = Histogram("gen_ai.server.time_per_output_token", "Mean time of the tokens after the first.", PerTokenSeconds);
    private static readonly Histogram<long> TokenUsage = Meter.CreateHistogram(
        "gen_ai.client.token.usage", "{token}", "Tokens of prompts and of answers.", tags: null, new InstrumentAdvice<long> { HistogramBucketBoundaries = Tokens });

    private readonly string _operation, _model;
    private readonly bool _isClient;
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly Activity? _activity;
    private bool _ended;

    private AnswerTelemetry(string operation, string model, bool isClient)
    {
        (_operation, _model, _isClient) = (operation, model, isClient);
        _activity = Source.StartActivity($"{operation} {model}", ActivityKind.Internal); // within the process, on both sides of it
    }

    /// <summary>A request arrives.</summary>
    /// <param name="operation"><c>chat</c> or <c>text_completion</c>.</param>
    /// <param name="model">The model's name in the request.</param>
    /// <param name="id">The answer's own name.</param>
    /// <param name="parameters">How it is to be answered.</param>
    /// <param name="choices">Answers wanted.</param>
    /// <param name="streams">Whether tokens are handed out as they come.</param>
    /// <param name="isClient">Whether the caller is this program: then its own measurements are made too.</param>
    public static AnswerTelemetry Begin(string operation, string model, string id, SamplingParams parameters, int choices, bool streams, bool isClient)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        var telemetry = new AnswerTelemetry(operation, model, isClient);
        if (telemetry._activity is { IsAllDataRequested: true } activity)
        {
            activity.SetTag("gen_ai.operation.name", operation).SetTag("gen_ai.provider.name", ProviderName);
            activity.SetTag("gen_ai.request.model", model).SetTag("gen_ai.response.id", id);
            if (parameters.Constraint is null) activity.SetTag("gen_ai.output.type", "text");
            activity.SetTag("gen_ai.request.max_tokens", parameters.MaxTokens).SetTag("gen_ai.request.temperature", (double)parameters.Temperature);
            activity.SetTag("gen_ai.request.top_p", (double)parameters.TopP).SetTag("gen_ai.request.seed", unchecked((long)parameters.Seed));
            if (parameters.TopK > 0) activity.SetTag("gen_ai.request.top_k", (double)parameters.TopK);
            if (parameters.FrequencyPenalty != 0) activity.SetTag("gen_ai.request.frequency_penalty", (double)parameters.FrequencyPenalty);
            if (parameters.PresencePenalty != 0) activity.SetTag("gen_ai.request.presence_penalty", (double)parameters.PresencePenalty);
            if (choices != 1) activity.SetTag("gen_ai.request.choice.count", choices);
            if (streams) activity.SetTag("gen_ai.request.stream", true);
        }

        return telemetry;
    }

    /// <summary>A request arrives whose answer is not text: the settings of sampling are none of it.</summary>
    /// <param name="operation"><c>embeddings</c>, or a name of our own where the conventions have none: <c>classify</c>.</param>
    /// <param name="model">The model's name in the request.</param>
    /// <param name="isClient">Whether the caller is this program.</param>
    /// <param name="id">The answer's own name; null when it has none.</param>
    public static AnswerTelemetry Begin(string operation, string model, bool isClient, string? id = null)
    {
        var telemetry = new AnswerTelemetry(operation, model, isClient);
        telemetry._activity?.SetTag("gen_ai.operation.name", operation).SetTag("gen_ai.provider.name", ProviderName).SetTag("gen_ai.request.model", model).SetTag("gen_ai.response.id", id);
        return telemetry;
    }

    /// <summary>Why an answer has ended, in OpenAI's words, unless it ended in calls of tools: that its reader knows.</summary>
    public static string ReasonOf(GenerationResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        return result.FinishReason switch { FinishReason.Stop => "stop", FinishReason.Length => "length", _ => "abort" };
    }

    /// <summary>The request is done with. Answers that are not complete, because nobody waits for them any longer, make it a cancelled one.</summary>
    /// <param name="answers">All of the request.</param>
    /// <param name="reasonOf">Why each has ended; null where tools play no part.</param>
    public void End(IReadOnlyList<PendingAnswer> answers, Func<GenerationResult, string>? reasonOf = null)
    {
        ArgumentNullException.ThrowIfNull(answers);
        if (answers.FirstOrDefault(answer => answer.Result.IsFaulted) is { } failed)
        {
            Fail(failed.Result.Exception!.InnerException!);
            return;
        }

        if (!answers.All(answer => answer.Result.IsCompletedSuccessfully && answer.Result.Result.FinishReason != FinishReason.Cancelled)) Fail(new OperationCanceledException());
        else if (!_ended) Succeed(answers, reasonOf ?? ReasonOf);
    }

    /// <summary>The request has failed.</summary>
    public void Fail(Exception error)
    {
        ArgumentNullException.ThrowIfNull(error);
        if (_ended) return;
        _ended = true;
        // Whether a client's leaving shows as a cancelled task or earlier is a matter of time: one name for both.
        string type = (error is OperationCanceledException ? typeof(OperationCanceledException) : error.GetType()).FullName!;
        // The type alone: a message may repeat what was asked.
        _activity?.SetTag("error.type", type).SetStatus(ActivityStatusCode.Error);
        TagList tags = Tags();
        tags.Add("error.type", type);
        RecordDuration(tags);
    }

    /// <summary>Ends the span; a request that has neither ended nor failed was cancelled.</summary>
    public void Dispose()
    {
        Fail(new OperationCanceledException());
        _activity?.Dispose();
    }

    private void Succeed(IReadOnlyList<PendingAnswer> answers, Func<GenerationResult, string> reasonOf)
    {
        _ended = true;
        // The tokens of a label that is scored are nobody's answer.
        GenerationResult[] results = [.. answers.Select(answer => answer.Request.IsScoring ? answer.Result.Result with { Tokens = [] } : answer.Result.Result)];
        // A prompt with several answers counts once, as in OpenAI's usage.
        long asked = answers.Select(answer => answer.Request.Prompt).Distinct(ReferenceEqualityComparer.Instance).Cast<Prompt>().Sum(prompt => (long)prompt.Ids.Length);
        long answered = results.Sum(result => (long)result.Tokens.Count);
        if (_activity is { IsAllDataRequested: true } activity)
        {
            activity.SetTag("gen_ai.response.model", _model).SetTag("gen_ai.usage.input_tokens", asked);
            if (results.Max(result => result.CachedTokenCount) is > 0 and var cached) activity.SetTag("gen_ai.usage.cache_read.input_tokens", (long)cached);
            if (answered > 0) activity.SetTag("gen_ai.usage.output_tokens", answered).SetTag("gen_ai.response.finish_reasons", results.Select(reasonOf).ToArray());
        }

        TagList tags = Tags();
        tags.Add("gen_ai.response.model", _model);
        RecordDuration(tags);
        if (answered > 0) FirstToken.Record(results.Min(result => result.QueueSeconds + result.PrefillSeconds), tags);
        foreach (GenerationResult result in results)
            if (result.Tokens.Count > 1) PerToken.Record(result.DecodeSeconds / (result.Tokens.Count - 1), tags);
        if (!_isClient) return;
        RecordTokens(asked, "input", tags);
        if (answered > 0) RecordTokens(answered, "output", tags);
    }

    private void RecordDuration(TagList tags)
    {
        double seconds = Stopwatch.GetElapsedTime(_start).TotalSeconds;
        ServerDuration.Record(seconds, tags);
        if (_isClient) ClientDuration.Record(seconds, tags);
    }

    private static void RecordTokens(long count, string type, TagList tags)
    {
        tags.Add("gen_ai.token.type", type); // the caller's list is a copy
        TokenUsage.Record(count, tags);
    }

    private TagList Tags() => new() { { "gen_ai.operation.name", _operation }, { "gen_ai.provider.name", ProviderName }, { "gen_ai.request.model", _model } };

    private static Histogram<double> Histogram(string name, string description, double[] limits) =>
        Meter.CreateHistogram(name, "s", description, tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = limits });
}
