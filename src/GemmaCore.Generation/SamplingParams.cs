using System.Collections.ObjectModel;
using GemmaCore.Generation.Constraints;

namespace GemmaCore.Generation;

/// <summary>How tokens are chosen and when an answer ends. The names are those of Hugging Face's GenerationConfig and of vLLM.</summary>
public sealed record SamplingParams
{
    /// <summary>Most tokens of the answer.</summary>
    public int MaxTokens { get; init; } = 256;

    /// <summary>Divides the logits; 0 means greedy.</summary>
    public float Temperature { get; init; }

    /// <summary>Keep the k most likely tokens; 0 for all.</summary>
    public int TopK { get; init; }

    /// <summary>Keep the smallest set of tokens whose probability reaches this; 1 for all (arXiv:1904.09751).</summary>
    public float TopP { get; init; } = 1;

    /// <summary>Drop tokens less likely than this share of the most likely one; 0 for none (arXiv:2407.01082).</summary>
    public float MinP { get; init; }

    /// <summary>Divides positive and multiplies negative logits of tokens already seen; 1 for none (arXiv:1909.05858).</summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>Subtracted from the logits of tokens that the answer already holds; 0 for none. As OpenAI's API defines it.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>Subtracted from a token's logit for each time the answer already holds it; 0 for none. As OpenAI's API defines it.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Added to the logits of single tokens, by id.</summary>
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = ReadOnlyDictionary<int, float>.Empty;

    /// <summary>Seed of the draws.</summary>
    public ulong Seed { get; init; }

    /// <summary>The answer ends before any of these strings.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>The answer ends with any of these ids, beside the model's own.</summary>
    public IReadOnlyList<int> StopTokenIds { get; init; } = [];

    /// <summary>Report the log-probability of each token and of this many most likely ones; −1 for no report.</summary>
    public int Logprobs { get; init; } = -1;

    /// <summary>
    /// What the answer may be, compiled by the model's <see cref="GemmaModel.Constraints"/>; null for anything. Log-probabilities are then those of the tokens that it allows.
    /// </summary>
    public Constraint? Constraint { get; init; }

    /// <summary>Do not end at the model's own stop ids.</summary>
    public bool IgnoreEos { get; init; }

    /// <summary>Throws when a value makes no sense; the message names it.</summary>
    /// <exception cref="ArgumentNullException">A list is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range.</exception>
    public void Validate()
    {
        ArgumentNullException.ThrowIfNull(LogitBias);
        ArgumentNullException.ThrowIfNull(Stop);
        ArgumentNullException.ThrowIfNull(StopTokenIds);
        Check(MaxTokens >= 1, nameof(MaxTokens), MaxTokens, "at least 1");
        Check(Temperature is >= 0 and <= 100, nameof(Temperature), Temperature, "from 0 to 100");
        Check(TopK >= 0, nameof(TopK), TopK, "0 (off) or more");
        Check(TopP is > 0 and <= 1, nameof(TopP), TopP, "above 0, at most 1");
        Check(MinP is >= 0 and <= 1, nameof(MinP), MinP, "from 0 to 1");
        Check(RepetitionPenalty is > 0 and <= 100, nameof(RepetitionPenalty), RepetitionPenalty, "above 0, at most 100");
        Check(PresencePenalty is >= -2 and <= 2, nameof(PresencePenalty), PresencePenalty, "from -2 to 2");
        Check(FrequencyPenalty is >= -2 and <= 2, nameof(FrequencyPenalty), FrequencyPenalty, "from -2 to 2");
        Check(LogitBias.Values.All(float.IsFinite), nameof(LogitBias), "NaN or infinity", "finite numbers");
        Check(Logprobs is >= -1 and <= 100, nameof(Logprobs), Logprobs, "from 0 to 100");
        Check(!Stop.Any(string.IsNullOrEmpty), nameof(Stop), "\"\"", "strings that are not empty");

        static void Check<T>(bool holds, string name, T value, string expected)
        {
            if (!holds) throw new ArgumentOutOfRangeException(name, value, $"{name} must be {expected}");
        }
    }
}
