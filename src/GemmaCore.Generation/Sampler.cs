using GemmaCore.Ops;

namespace GemmaCore.Generation;

/// <summary>Chooses the next token of one sequence. Its draws depend on its seed alone, so a request answers the same in any batch.</summary>
public sealed class Sampler
{
    private readonly SamplingParams _parameters;
    private readonly int[] _keptIds;
    private readonly float[] _keptLogits;
    private ulong _state;

    /// <summary>A sampler at the start of its random sequence.</summary>
    public Sampler(SamplingParams parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        _parameters = parameters;
        _state = parameters.Seed;
        int kept = CandidateCount(int.MaxValue) > 1 ? parameters.TopK : 0;
        (_keptIds, _keptLogits) = (new int[kept], new float[kept]);
    }

    /// <summary>
    /// How many of the most likely tokens decide the choice, so that the rest of the row need not be seen; 0 when all of it must be. With top-k
    /// it is one more than k: the last shows whether others share the k-th place.
    /// </summary>
    /// <param name="vocabulary">V.</param>
    public int CandidateCount(int vocabulary)
    {
        if (_parameters.RepetitionPenalty != 1 || _parameters.PresencePenalty != 0 || _parameters.FrequencyPenalty != 0 || _parameters.LogitBias.Count > 0) return 0;
        if (_parameters.Temperature == 0) return 1;
        return _parameters.TopK > 0 && _parameters.TopK < Math.Min(vocabulary, TopK.MaxCount) ? _parameters.TopK + 1 : 0;
    }

    /// <summary>
    /// Chooses among the most likely tokens what <see cref="Choose"/> chooses from the whole row, with the same draw. False, and nothing drawn, when
    /// the row must be seen after all because more than k tokens are in the first k places.
    /// </summary>
    /// <param name="ids">At least <see cref="CandidateCount"/> ids, most likely first, lower ids first among equals.</param>
    /// <param name="logits">Their raw logits; not read for a greedy choice.</param>
    /// <param name="index">Place of the chosen one in <paramref name="ids"/>.</param>
    public bool TryChoose(ReadOnlySpan<int> ids, ReadOnlySpan<float> logits, out int index)
    {
        index = 0;
        if (_parameters.Temperature == 0) return true;
        int k = _parameters.TopK;
        if (!(logits[k] / _parameters.Temperature < logits[k - 1] / _parameters.Temperature)) return false;
        // In the order of the vocabulary, which is the order of every sum over the row.
        ids[..k].CopyTo(_keptIds);
        logits[..k].CopyTo(_keptLogits);
        Array.Sort(_keptIds, _keptLogits);
        index = ids.IndexOf(_keptIds[Choose(_keptLogits, [])]);
        return true;
    }

    /// <summary>Chooses a token; the logits are overwritten.</summary>
    /// <param name="logits">[V] raw logits.</param>
    /// <param name="seen">Ids of prompt and answer so far, for the repetition penalty.</param>
    /// <param name="promptCount">How many of them are the prompt's: the other penalties are for the answer's alone.</param>
    public int Choose(Span<float> logits, ReadOnlySpan<int> seen, int promptCount = 0)
    {
        SamplingFilters.Bias(logits, _parameters.LogitBias);
        SamplingFilters.OccurrencePenalties(logits, seen[Math.Min(promptCount, seen.Length)..], _parameters.PresencePenalty, _parameters.FrequencyPenalty);
        SamplingFilters.RepetitionPenalty(logits, seen, _parameters.RepetitionPenalty);
        if (_parameters.Temperature == 0) return SamplingFilters.ArgMax(logits);
        SamplingFilters.Temperature(logits, _parameters.Temperature);
        SamplingFilters.TopK(logits, _parameters.TopK);
        SamplingFilters.TopP(logits, _parameters.TopP);
        SamplingFilters.MinP(logits, _parameters.MinP);
        return Draw(logits);
    }

    private int Draw(ReadOnlySpan<float> logits)
    {
        double total = SamplingFilters.LogSumExp(logits), threshold = NextUniform(), sum = 0;
        int last = SamplingFilters.ArgMax(logits);
        for (int i = 0; i < logits.Length; i++)
        {
            if (float.IsNegativeInfinity(logits[i])) continue;
            sum += Math.Exp(logits[i] - total);
            last = i;
            if (sum > threshold) return i;
        }

        return last; // rounding left the sum a hair below the threshold
    }

    // SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the upper 53 bits as a number in [0, 1).
    private double NextUniform()
    {
        ulong z = _state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return ((z ^ (z >> 31)) >> 11) * (1.0 / (1UL << 53));
    }
}
