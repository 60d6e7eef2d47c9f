using System.Globalization;
using System.Text.Json;
using GemmaCore.Generation;
using GemmaCore.Inputs;

namespace GemmaCore.Server.OpenAi;

/// <summary>The fields that say how to answer, the same for chat and completions: OpenAI's, and vLLM's where those end.</summary>
/// <param name="Parameters">How tokens are chosen.</param>
/// <param name="MaxTokens">Most tokens of an answer; null where the request does not say.</param>
/// <param name="Choices">Answers to a prompt.</param>
/// <param name="Stream">Send tokens as they come.</param>
/// <param name="IncludeUsage">End a stream with the tokens of all of it.</param>
/// <param name="CountsAlong">Give every chunk of a stream the tokens of its answer so far, vLLM's <c>continuous_usage_stats</c>.</param>
/// <param name="CacheSalt">Sets apart what could share the prefix cache.</param>
internal sealed record SamplingFields(SamplingParams Parameters, int? MaxTokens, int Choices, bool Stream, bool IncludeUsage, bool CountsAlong, string CacheSalt)
{
    private const int MostStops = 16, LongestStop = 256, MostBiases = 1024, MostStopIds = 64, LongestSalt = 256;

    /// <summary>Field names that <see cref="Read"/> looks at.</summary>
    public static readonly string[] Names =
    [
        "max_tokens", "temperature", "top_p", "top_k", "min_p", "n", "stream", "stream_options", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias",
        "repetition_penalty", "ignore_eos", "stop_token_ids", "cache_salt", .. StructuredFields.Names,
    ];

    /// <summary>Fields that clients send and that change nothing here.</summary>
    public static readonly string[] WithoutEffect = ["user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"];

    public static SamplingFields Read(RequestField body, ServedModel served, int? maxTokens, int logprobs)
    {
        SamplingParams defaults = served.Model.DefaultSampling();
        int vocabulary = served.Model.Model.Layout.VocabularySize;
        RequestField streaming = body["stream_options"];
        if (!streaming.IsNull) streaming.AllowOnly(["include_usage", "continuous_usage_stats", "include_obfuscation"]);
        var parameters = new SamplingParams
        {
            Temperature = body["temperature"].NumberOr(defaults.Temperature, 0, 100),
            TopP = body["top_p"].NumberOr(defaults.TopP, 0, 1) is > 0 and var share ? share : throw body["top_p"].Wrong("a number above 0, at most 1"),
            // vLLM's −1 is our 0: all tokens.
            TopK = Math.Max(0, body["top_k"].IntegerOr(defaults.TopK, -1, int.MaxValue)),
            MinP = body["min_p"].NumberOr(defaults.MinP, 0, 1),
            RepetitionPenalty = body["repetition_penalty"].NumberOr(defaults.RepetitionPenalty, 0.01f, 100),
            PresencePenalty = body["presence_penalty"].NumberOr(0, -2, 2),
            FrequencyPenalty = body["frequency_penalty"].NumberOr(0, -2, 2),
            LogitBias = Biases(body["logit_bias"], vocabulary),
            Seed = body["seed"].SeedOrNull() ?? (ulong)Random.Shared.NextInt64(),
            Stop = Stops(body["stop"]),
            StopTokenIds = body["stop_token_ids"] is { IsNull: false } ids ? [.. ids.Items(MostStopIds).Select(id => id.Integer(0, vocabulary - 1))] : [],
            IgnoreEos = body["ignore_eos"].FlagOr(false),
            Logprobs = logprobs,
            Constraint = StructuredFields.Read(body, served.Model.Constraints),
        };
        bool usage = streaming["include_usage"].FlagOr(false);
        return new SamplingFields(
            parameters, maxTokens, body["n"].IntegerOr(1, 1, served.Options.MaxChoices), body["stream"].FlagOr(false), usage, usage & streaming["continuous_usage_stats"].FlagOr(false),
            Salt(body["cache_salt"]));
    }

    /// <summary>The parameters of answer <paramref name="choice"/> to a prompt: each draws with a seed of its own, and none is longer than the model's positions allow.</summary>
    /// <exception cref="RequestException">The request asks for more tokens than there is room for.</exception>
    public SamplingParams For(Prompt prompt, int choice, ServedModel served, string maxTokensName)
    {
        int room = served.MaxLength - prompt.Ids.Length;
        if (room < 1 || MaxTokens > room)
        {
            throw RequestException.Invalid(
                $"This model's maximum context length is {served.MaxLength} tokens, but {prompt.Ids.Length} in the prompt and {MaxTokens ?? 1} for the answer were asked for",
                room < 1 ? null : maxTokensName, "context_length_exceeded");
        }

        int most = MaxTokens ?? Math.Min(room, served.Model.Defaults.MaxNewTokens ?? served.Options.DefaultMaxTokens);
        return Parameters with { MaxTokens = most, Seed = unchecked(Parameters.Seed + (ulong)choice) };
    }

    /// <summary>What sets apart requests that could share what is computed of their prompts.</summary>
    public static string Salt(RequestField field) =>
        (field.TextOrNull() ?? "") is { Length: <= LongestSalt } salt ? salt : throw field.Wrong($"at most {LongestSalt} characters");

    private static string[] Stops(RequestField field)
    {
        if (field.IsNull) return [];
        if (field.Kind is not (JsonValueKind.String or JsonValueKind.Array)) throw field.Wrong("a string or an array of strings");
        string[] stops = field.Kind == JsonValueKind.String ? [field.Text()] : [.. field.Items(MostStops).Select(stop => stop.Text())];
        return Array.TrueForAll(stops, stop => stop.Length is > 0 and <= LongestStop) ? stops : throw field.Wrong($"strings of 1 to {LongestStop} characters");
    }

    private static Dictionary<int, float> Biases(RequestField field, int vocabulary)
    {
        var biases = new Dictionary<int, float>();
        if (field.IsNull) return biases;
        foreach ((string name, RequestField value) in field.Members())
        {
            if (biases.Count == MostBiases) throw field.Wrong($"at most {MostBiases} tokens");
            if (!int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int id) || id >= vocabulary) throw field.Wrong($"token ids below {vocabulary} as names");
            biases[id] = value.Number(-100, 100);
        }

        return biases;
    }
}
