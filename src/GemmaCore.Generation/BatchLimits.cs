namespace GemmaCore.Generation;

/// <summary>What a <see cref="BatchScheduler"/> may take.</summary>
public sealed record BatchLimits
{
    /// <summary>Sequences that are answered at a time.</summary>
    public int MaxSequences { get; init; } = 64;

    /// <summary>Bytes of keys and values that the sequences under way may hold together.</summary>
    public long MaxCacheBytes { get; init; } = long.MaxValue;

    /// <summary>
    /// Keep what prompts begin with for later ones that begin alike, in that part of <see cref="MaxCacheBytes"/> that nobody under way needs. It does not change an
    /// answer by a bit.
    /// </summary>
    public bool KeepsPrefixes { get; init; }

    /// <summary>
    /// Rows of a pass in which sequences decode. Up to eight, an answer is the same bit for bit whatever else is under way; more read the weights less often, and
    /// the last bits then depend on the company.
    /// </summary>
    public int DecodeRows { get; init; } = BatchScheduler.FewRows;

    /// <summary>Prompt tokens of one pass: enough to keep the matrix units busy, few enough to bound activation memory and the pause of those that decode.</summary>
    public int PrefillTokens { get; init; } = 1024;
}
