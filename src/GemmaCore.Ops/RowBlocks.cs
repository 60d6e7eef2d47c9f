namespace GemmaCore.Ops;

/// <summary>
/// Cuts a row-wise operation into parts of some 16 K elements: large enough to pay for the hand-over to a thread, small enough to share
/// out. The cut depends on the shape only, never on the number of threads.
/// </summary>
internal static class RowBlocks
{
    private const int ElementsPerBlock = 16 << 10;

    /// <summary>Number of parts.</summary>
    public static int Count(int rows, int columns)
    {
        int perBlock = RowsPerBlock(columns);
        return (rows + perBlock - 1) / perBlock;
    }

    /// <summary>Rows [first, end) of part <paramref name="index"/>.</summary>
    public static (int First, int End) Range(int index, int rows, int columns)
    {
        int perBlock = RowsPerBlock(columns);
        return (index * perBlock, Math.Min(rows, (index + 1) * perBlock));
    }

    private static int RowsPerBlock(int columns) => Math.Max(1, ElementsPerBlock / Math.Max(1, columns));
}
