namespace GemmaCore.Generation;

/// <summary>What a <see cref="BatchScheduler"/> may take.</summary>
public sealed record BatchLimits
{
    /// <summary>Sequences that are answered at a time.</summary>
    public int MaxSequences { get; init; } = 64;

    /// <summary>
    /// Bytes of keys and values, set aside as a pool of pages for the sequences under way. Without a limit a <see cref="RequestLoop"/> takes a quarter of the device's
    /// memory, and <see cref="Generator"/> what its requests need.
    /// </summary>
    public long MaxCacheBytes { get; init; } = long.MaxValue;

    /// <summary>
    /// Tokens by which everybody under way can grow when one more starts. Few answers are as long as they might be: who sets aside all of it keeps others waiting for
    /// memory that is never used. With too few, who has just started is soon made to step back; below zero, more start than there is room for. No answer changes by a bit.
    /// </summary>
    public int Headroom { get; init; } = 256;

    /// <summary>
    /// Keep the pages of what prompts begin with for later ones that begin alike, until a sequence under way needs them. It does not change an answer by a bit.
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
