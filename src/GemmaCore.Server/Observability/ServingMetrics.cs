using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using GemmaCore.Generation;
using GemmaCore.Models;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.Observability;

/// <summary>
/// <c>GET /metrics</c> in Prometheus' text form. Every number is there twice: as <c>gemmacore_*</c>, and under vLLM's name, for dashboards, autoscalers and
/// gateways that know that one.
/// </summary>
internal sealed class ServingMetrics(ServedModel served)
{
    private static readonly string[] Prefixes = ["gemmacore_", "vllm:"];

    private readonly ConcurrentDictionary<string, long> _finished = new(StringComparer.Ordinal);
    private readonly Histogram _firstToken = Histogram.OfSeconds(), _betweenTokens = Histogram.OfSeconds(), _perToken = Histogram.OfSeconds(), _whole = Histogram.OfSeconds(), _queued = Histogram.OfSeconds();
    private readonly Histogram _inference = Histogram.OfSeconds(), _prefill = Histogram.OfSeconds(), _decode = Histogram.OfSeconds();
    private readonly Histogram _promptLengths = Histogram.OfTokens(), _answerLengths = Histogram.OfTokens(), _choices = new(1, 2, 5, 10, 20), _maxTokens = Histogram.OfTokens();
    private readonly ConcurrentDictionary<PendingAnswer, string> _open = new();
    private long _failed;

    /// <summary>Counts answers when they end.</summary>
    /// <param name="model">The model's name in the request.</param>
    /// <param name="answers">All of a request.</param>
    /// <param name="choices">How many it asked for.</param>
    /// <param name="reasonOf">Why an answer has ended, in OpenAI's words.</param>
    public void Watch(string model, IReadOnlyList<PendingAnswer> answers, int choices, Func<GenerationResult, string> reasonOf)
    {
        _choices.Observe(choices);
        foreach (PendingAnswer answer in answers) _ = WatchAsync(model, answer, reasonOf);
    }

    /// <summary>The exposition.</summary>
    public async Task WriteAsync(HttpContext context)
    {
        context.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        await context.Response.WriteAsync(Text(), context.RequestAborted).ConfigureAwait(false);
    }

    private async Task WatchAsync(string model, PendingAnswer answer, Func<GenerationResult, string> reasonOf)
    {
        _open[answer] = model;
        try
        {
            Count(await answer.Result.ConfigureAwait(false), answer, reasonOf);
        }
        catch (Exception) // whoever asked is told; here it is a number
        {
            Interlocked.Increment(ref _failed);
        }
        finally
        {
            _open.TryRemove(answer, out _);
        }
    }

    private void Count(GenerationResult result, PendingAnswer answer, Func<GenerationResult, string> reasonOf)
    {
        // The tokens of a label that is scored are nobody's answer, and that there are no more of them is not for want of room.
        if (answer.Request.IsScoring) result = result with { Tokens = [], FinishReason = result.FinishReason == FinishReason.Length ? FinishReason.Stop : result.FinishReason };
        _finished.AddOrUpdate(reasonOf(result), 1, (_, count) => count + 1);
        _queued.Observe(result.QueueSeconds);
        if (result.Tokens.Count == 0) return;
        _firstToken.Observe(result.QueueSeconds + result.PrefillSeconds);
        foreach (float seconds in result.SecondsBetweenTokens) _betweenTokens.Observe(seconds);
        if (result.Tokens.Count > 1) _perToken.Observe(result.DecodeSeconds / (result.Tokens.Count - 1));
        _whole.Observe(result.QueueSeconds + result.PrefillSeconds + result.DecodeSeconds);
        _inference.Observe(result.PrefillSeconds + result.DecodeSeconds);
        _prefill.Observe(result.PrefillSeconds);
        _decode.Observe(result.DecodeSeconds);
        _promptLengths.Observe(result.PromptTokenCount);
        _answerLengths.Observe(result.Tokens.Count);
        _maxTokens.Observe(answer.Request.Parameters.MaxTokens);
    }

    private string Text()
    {
        var text = new StringBuilder();
        LoopStatus status = served.Loop.Status;
        double share = served.Loop.Limits.MaxCacheBytes is > 0 and var most ? status.CacheBytes / (double)most : 0;
        Write(text, "num_requests_running", "gauge", "Requests under way.", status.Running);
        Write(text, "num_requests_waiting", "gauge", "Requests in the queue.", status.Waiting);
        Write(text, "kv_cache_usage_perc", "gauge", "Keys and values held, as a share of what is set aside; 1 is all of it.", share);
        WriteCacheConfiguration(text);
        Write(text, "num_preemptions_total", "counter", "How often a request under way gave its keys and values back to those that started before it; it goes on later.", status.Preemptions);
        Write(text, "prefix_cache_queries_total", "counter", "Prompt tokens that could have been in the prefix cache.", status.PrefixQueries);
        Write(text, "prefix_cache_hits_total", "counter", "Prompt tokens that were.", status.PrefixHits);
        Write(text, "prefix_cache_bytes", "gauge", "Keys and values kept for prompts to come; requests under way push them out.", status.PrefixBytes);
        Write(text, "prompt_tokens_total", "counter", "Prompt tokens of requests under way and ended.", status.PrefixQueries);
        Write(text, "generation_tokens_total", "counter", "Answer tokens of requests under way and ended.", status.AnswerTokens);
        Write(text, "request_failure_total", "counter", "Requests that ended without an answer.", Interlocked.Read(ref _failed));
        WriteFinished(text);
        Write(text, "time_to_first_token_seconds", _firstToken, "From a request's arrival to its first token.");
        // vLLM's older and newer name for the same: every pause counts, so that one that stands still among quick ones is seen. The mean of an answer has a name of its own.
        Write(text, "time_per_output_token_seconds", _betweenTokens, "From a token to the next.");
        Write(text, "inter_token_latency_seconds", _betweenTokens, "From a token to the next.");
        Write(text, "request_time_per_output_token_seconds", _perToken, "Mean time between the tokens of an answer.");
        Write(text, "iteration_tokens_total", served.StepTokens, "Tokens that went through the model in a step, of prompts and of answers.");
        Write(text, "e2e_request_latency_seconds", _whole, "From a request's arrival to its last token.");
        Write(text, "request_queue_time_seconds", _queued, "Time in the queue.");
        Write(text, "request_inference_time_seconds", _inference, "Time under way.");
        Write(text, "request_prefill_time_seconds", _prefill, "Time under way until the first token.");
        Write(text, "request_decode_time_seconds", _decode, "Time from the first token to the last.");
        Write(text, "request_prompt_tokens", _promptLengths, "Prompt tokens of a request.");
        Write(text, "request_generation_tokens", _answerLengths, "Answer tokens of a request.");
        Write(text, "request_params_n", _choices, "Answers asked for in a request.");
        Write(text, "request_params_max_tokens", _maxTokens, "Most answer tokens of a request.");
        WriteAdapters(text);
        Write(text, "steps_total", "counter", "Steps of the batch scheduler.", status.Steps);
        Write(text, "step_seconds_total", "counter", "Time of all steps.", status.StepSeconds);
        Write(text, "model_seconds_total", "counter", "Part of it that was spent in the model.", status.PassSeconds);
        return text.ToString();
    }

    private string Labels => $"model_name=\"{Escape(served.Name)}\",engine=\"0\"";

    private void Write(StringBuilder text, string name, string type, string help, double value)
    {
        foreach (string prefix in Prefixes) Head(text, prefix + name, type, help).Append(CultureInfo.InvariantCulture, $"{prefix}{name}{{{Labels}}} {value}\n");
    }

    private void Write(StringBuilder text, string name, Histogram histogram, string help)
    {
        foreach (string prefix in Prefixes) histogram.Write(Head(text, prefix + name, "histogram", help), prefix + name, Labels);
    }

    private void WriteFinished(StringBuilder text)
    {
        foreach (string prefix in Prefixes)
        {
            Head(text, prefix + "request_success_total", "counter", "Ended requests by how they ended.");
            foreach (string reason in (string[])["stop", "length", "tool_calls", "abort"])
                text.Append(CultureInfo.InvariantCulture, $"{prefix}request_success_total{{{Labels},finished_reason=\"{reason}\"}} {_finished.GetValueOrDefault(reason)}\n");
        }
    }

    // vLLM's convention: the numbers are labels.
    private void WriteCacheConfiguration(StringBuilder text)
    {
        foreach (string prefix in Prefixes)
            Head(text, prefix + "cache_config_info", "gauge", "Pages of keys and values.").Append(
                CultureInfo.InvariantCulture, $"{prefix}cache_config_info{{{Labels},block_size=\"{KvLayout.PageRows}\",num_gpu_blocks=\"{served.Loop.CachePages}\"}} 1\n");
    }

    // vLLM's convention: the names are labels, and the value is the time of the look.
    private void WriteAdapters(StringBuilder text)
    {
        string[] adapters = [.. served.AdapterNames];
        string running = NamesOf(isUnderWay: true), waiting = NamesOf(isUnderWay: false);
        int most = served.LoadsAdapters ? Math.Max(served.Options.MaxAdapters, adapters.Length) : adapters.Length;
        foreach (string prefix in Prefixes)
            Head(text, prefix + "lora_requests_info", "gauge", "Adapters of open requests.").Append(
                CultureInfo.InvariantCulture,
                $"{prefix}lora_requests_info{{max_lora=\"{most}\",waiting_lora_adapters=\"{waiting}\",running_lora_adapters=\"{running}\"}} {DateTimeOffset.UtcNow.ToUnixTimeSeconds()}\n");

        string NamesOf(bool isUnderWay) => string.Join(',', _open.Where(open => open.Key.IsUnderWay == isUnderWay && adapters.Contains(open.Value)).Select(open => open.Value)
            .Distinct().Order(StringComparer.Ordinal).Select(Escape));
    }

    private static StringBuilder Head(StringBuilder text, string name, string type, string help) => text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {type}\n");

    private static string Escape(string label) => label.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
