using GemmaCore.Training.Planning;

namespace GemmaCore.Cli;

/// <summary>The memory that a plan may take, and what of it goes to the driver.</summary>
/// <param name="Limit">Bytes for peak and driver; null for no limit.</param>
/// <param name="DriverBytes">The driver's share of <paramref name="Limit"/>; 0 where it has been taken already.</param>
/// <param name="FreeBytes">What an open card has free, where that is the limit; null where the limit is another.</param>
internal sealed record PlanRoom(long? Limit, long DriverBytes, long? FreeBytes = null)
{
    /// <summary>What a run leaves of a card's free memory, for what others do meanwhile.</summary>
    public const long OthersBytes = 64L << 20;

    /// <summary>Of an open card all that is free and not left to others.</summary>
    public static PlanRoom Free(long bytes) => new(Math.Max(0, bytes - OthersBytes), 0, bytes);

    /// <summary>The limit in words, for a line that says nothing fits; null where its amount is enough.</summary>
    public string? Words => FreeBytes is { } free ? $"the {MemorySize.Format(free)} that the card has free, of which {MemorySize.Format(OthersBytes)} stay for others" : null;

    /// <summary>The limit's name in a table.</summary>
    public string Label => FreeBytes is { } free ? $"limit: {MemorySize.Format(free)} free, {MemorySize.Format(OthersBytes)} stay for others" : "limit";

    /// <summary>Whether there is room to answer, which leaves nothing to others.</summary>
    /// <param name="peakBytes">The driver's share not counted.</param>
    public bool HoldsAnswer(long peakBytes) => (FreeBytes ?? Limit) is not { } most || peakBytes + DriverBytes <= most;
}
