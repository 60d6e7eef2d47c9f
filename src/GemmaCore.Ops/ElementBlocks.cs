namespace GemmaCore.Ops;

/// <summary>
/// Cuts an element-wise operation into parts of 16 K consecutive elements, whatever the shape. The cut depends on the element count only,
/// never on the number of threads.
/// </summary>
internal static class ElementBlocks
{
    private const int ElementsPerBlock = 16 << 10;

    /// <summary>Number of parts.</summary>
    public static int Count(long elements) => checked((int)((elements + ElementsPerBlock - 1) / ElementsPerBlock));

    /// <summary>First element of part <paramref name="index"/> and how many it has.</summary>
    public static (long Start, int Count) Range(int index, long elements)
    {
        long start = (long)index * ElementsPerBlock;
        return (start, (int)Math.Min(ElementsPerBlock, elements - start));
    }
}
