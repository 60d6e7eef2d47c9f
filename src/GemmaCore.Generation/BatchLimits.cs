namespace GemmaCore.Generation;

/// <summary>What a <see cref="BatchScheduler"/> may take.</summary>
public sealed record BatchLimits
{
    /// <summary>Sequences that are answered at a time.</summary>
    public int MaxSequences { get; init; } = 64;

    /// <summary>Bytes of keys and values that the sequences under way may hold together.</summary>
    public long MaxCacheBytes { get; init; } = long.MaxValue;

    /// <summary>Prompt tokens of one pass: enough to keep the matrix units busy, few enough to bound activation memory and the pause of those that decode.</summary>
    public int PrefillTokens { get; init; } = 1024;
}
