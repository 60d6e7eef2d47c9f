using GemmaCore.Inputs;

namespace GemmaCore.Generation;

/// <summary>How likely a label is as the answer to a prompt.</summary>
/// <param name="Label">The label.</param>
/// <param name="Logprob">ln p of its tokens, one after the other, under the model's raw logits.</param>
/// <param name="Probability">Its share among the labels that were asked about; they add up to 1.</param>
public sealed record LabelScore(string Label, double Logprob, double Probability);

/// <summary>
/// Exact log-probabilities of given answers to a prompt. The prompt is computed once; labels that differ only in their last token (option letters, yes and no)
/// are read off one row of logits.
/// </summary>
public sealed class LabelScores
{
    /// <summary>Most labels of a question.</summary>
    public const int MostLabels = 256;

    /// <summary>Most tokens of a label.</summary>
    public const int MostTokens = 64;

    private readonly IReadOnlyList<string> _labels;
    private readonly List<(int Request, int Candidate)> _places = [];
    private readonly List<int[]> _starts = [];
    private readonly List<List<int>> _candidates = [];
    private readonly Prompt _prompt;

    /// <summary>Labels as answers to a prompt.</summary>
    /// <param name="prompts">How the model's text becomes tokens.</param>
    /// <param name="prompt">The prompt, up to where the answer begins.</param>
    /// <param name="labels">The answers, all different.</param>
    /// <param name="wholeAnswer">
    /// Whether the end of the answer counts as a part of each label: it then says how likely the answer is this one and nothing more. Without it, of two labels
    /// that begin alike the shorter one has a part of the longer one's share.
    /// </param>
    /// <param name="stopIds">Ids that end an answer.</param>
    /// <exception cref="InputException">No labels, too many or too long ones, an empty one, or one that is there twice.</exception>
    public LabelScores(PromptEncoder prompts, Prompt prompt, IReadOnlyList<string> labels, bool wholeAnswer, IReadOnlyCollection<int> stopIds)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        ArgumentNullException.ThrowIfNull(labels);
        if (labels.Count is 0 or > MostLabels) throw new InputException($"{labels.Count} labels: expected 1 to {MostLabels}");
        (_prompt, _labels) = (prompt, labels);
        var known = new HashSet<string>(StringComparer.Ordinal);
        foreach (string label in labels)
        {
            if (!known.Add(label)) throw new InputException($"label '{label}' is there twice");
            int[] ids = wholeAnswer ? UpToEnd(prompts.EncodeAnswer(label), stopIds) : prompts.Tokenizer.EncodeContinuation(label);
            if (label.Length == 0 || ids.Length is 0 or > MostTokens) throw new InputException($"label '{label}' has {ids.Length} tokens: expected 1 to {MostTokens}");
            Place(ids);
        }
    }

    /// <summary>What to run; all of one prompt.</summary>
    public IReadOnlyList<GenerationRequest> Requests =>
    [
        .. _starts.Select((start, i) => new GenerationRequest(_prompt, new SamplingParams { MaxTokens = start.Length + 1, Logprobs = 0 }) { Scoring = new Scoring(start, [.. _candidates[i]]) }),
    ];

    /// <summary>The scores, from the results of <see cref="Requests"/> in their order.</summary>
    public IReadOnlyList<LabelScore> Of(IReadOnlyList<GenerationResult> results)
    {
        ArgumentNullException.ThrowIfNull(results);
        double[] logprobs = new double[_labels.Count];
        for (int i = 0; i < logprobs.Length; i++)
        {
            IReadOnlyList<GeneratedToken> tokens = results[_places[i].Request].Tokens;
            logprobs[i] = tokens.SkipLast(1).Sum(token => (double)token.Logprob) + tokens[^1].Top[_places[i].Candidate].Logprob;
        }

        double most = logprobs.Max(), total = logprobs.Sum(logprob => Math.Exp(logprob - most));
        return [.. _labels.Select((label, i) => new LabelScore(label, logprobs[i], Math.Exp(logprobs[i] - most) / total))];
    }

    // Labels that begin alike but for the last token share a request.
    private void Place(int[] ids)
    {
        int request = _starts.FindIndex(start => start.AsSpan().SequenceEqual(ids.AsSpan(..^1)));
        if (request < 0)
        {
            request = _starts.Count;
            _starts.Add(ids[..^1]);
            _candidates.Add([]);
        }

        _places.Add((request, _candidates[request].Count));
        _candidates[request].Add(ids[^1]);
    }

    private static int[] UpToEnd(int[] ids, IReadOnlyCollection<int> stopIds)
    {
        int end = Array.FindIndex(ids, stopIds.Contains);
        return end < 0 ? ids : ids[..(end + 1)];
    }
}
