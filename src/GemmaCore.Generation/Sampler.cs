namespace GemmaCore.Generation;

/// <summary>Chooses the next token of one sequence. Its draws depend on its seed alone, so a request answers the same in any batch.</summary>
public sealed class Sampler
{
    private readonly SamplingParams _parameters;
    private ulong _state;

    /// <summary>A sampler at the start of its random sequence.</summary>
    public Sampler(SamplingParams parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        _parameters = parameters;
        _state = parameters.Seed;
    }

    /// <summary>Chooses a token; the logits are overwritten.</summary>
    /// <param name="logits">[V] raw logits.</param>
    /// <param name="seen">Ids of prompt and answer so far, for the repetition penalty.</param>
    public int Choose(Span<float> logits, ReadOnlySpan<int> seen)
    {
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
