using GemmaCore.Cuda;

namespace GemmaCore.Ops;

/// <summary>Spreads an element-wise kernel over a card. Such kernels step by the whole grid, so any number of blocks is right; this one fills the card once.</summary>
internal static class ElementGrid
{
    /// <summary>Threads of a block, as the kernels declare them.</summary>
    public const int Threads = 256;

    // A thread moves four floats at a time; eight blocks are all the threads that the largest multiprocessor holds.
    private const int ElementsPerBlock = 4 * Threads, BlocksPerMultiprocessor = 8;

    /// <summary>Grid over at least one element.</summary>
    public static LaunchGrid Over(long elements, int multiprocessors) =>
        new(Math.Min((elements + ElementsPerBlock - 1) / ElementsPerBlock, (long)multiprocessors * BlocksPerMultiprocessor), Threads);
}
