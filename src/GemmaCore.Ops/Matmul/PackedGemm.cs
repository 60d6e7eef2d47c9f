using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// The packed product: a part is a block of C; for each slice of the depth it packs its columns of the right matrix once and carries
/// every panel of left rows past them.
/// </summary>
internal static unsafe class PackedGemm<TTile, TElements> where TTile : struct, ITile where TElements : struct, IElements
{
    // Below this many multiply-adds a part is not worth handing to a thread (some 2 µs on one core).
    private const long SmallestPart = 1 << 18;
    private const int WantedParts = 8;

    public static void Run(WorkerPool workers, in GemmSizes sizes)
    {
        // Columns are shared out first (each is packed once), then rows; never by thread count.
        long work = (long)sizes.Rows * sizes.Columns * Math.Max(1, sizes.Depth);
        int parts = (int)Math.Clamp(work / SmallestPart, 1, WantedParts);
        int columns = Math.Clamp(RoundUp(Ceiling(sizes.Columns, parts), TTile.Columns), TTile.Columns, PanelScratch.MaxColumns);
        int columnBlocks = Ceiling(sizes.Columns, columns);
        int rowBlocks = Math.Min(Math.Max(1, parts / columnBlocks), Ceiling(sizes.Rows, TTile.Rows));
        int rows = RoundUp(Ceiling(sizes.Rows, rowBlocks), TTile.Rows);
        int slices = Math.Max(1, Ceiling(sizes.Depth, PanelScratch.MaxDepth));
        var job = new Work
        {
            Sizes = sizes, ColumnBlock = columns, ColumnBlocks = columnBlocks, RowBlock = rows,
            Slice = Math.Max(1, RoundUp(Ceiling(sizes.Depth, slices), 8)),
        };
        workers.Run(ref job, columnBlocks * Ceiling(sizes.Rows, rows));
    }

    private static int Ceiling(int value, int divisor) => (value + divisor - 1) / divisor;

    private static int RoundUp(int value, int multiple) => Ceiling(value, multiple) * multiple;

    private struct Work : IWork
    {
        public GemmSizes Sizes;
        public int ColumnBlock, ColumnBlocks, RowBlock, Slice;

        public readonly void Execute(int index)
        {
            PanelScratch scratch = PanelScratch.Mine;
            int firstColumn = index % ColumnBlocks * ColumnBlock, endColumn = Math.Min(Sizes.Columns, firstColumn + ColumnBlock);
            int firstRow = index / ColumnBlocks * RowBlock, endRow = Math.Min(Sizes.Rows, firstRow + RowBlock);
            bool accumulate = Sizes.Accumulate;
            if (Sizes.Bias != null || Sizes.Depth == 0)
            {
                Begin(firstRow, endRow, firstColumn, endColumn);
                accumulate = true;
            }

            for (int k = 0; k < Sizes.Depth; k += Slice)
            {
                int depth = Math.Min(Slice, Sizes.Depth - k);
                PackRight(scratch, firstColumn, endColumn, k, depth);
                for (int row = firstRow; row < endRow; row += TTile.Rows)
                {
                    int rows = Math.Min(TTile.Rows, endRow - row);
                    PackLeft(scratch, row, rows, k, depth);
                    MultiplyRows(scratch, row, rows, firstColumn, endColumn, depth, accumulate);
                }

                accumulate = true;
            }
        }

        // C starts as the bias (or zero), or gains it.
        private readonly void Begin(int firstRow, int endRow, int firstColumn, int endColumn)
        {
            for (int row = firstRow; row < endRow; row++)
            {
                float* c = Sizes.C + (long)row * Sizes.Columns;
                for (int column = firstColumn; column < endColumn; column++)
                {
                    float start = Sizes.Bias == null ? 0 : Sizes.Bias[column];
                    c[column] = Sizes.Accumulate ? c[column] + start : start;
                }
            }
        }

        private readonly void PackRight(PanelScratch scratch, int firstColumn, int endColumn, int k, int depth)
        {
            byte* right = (byte*)Sizes.Right;
            float* panel = scratch.Right;
            for (int column = firstColumn; column < endColumn; column += TTile.Columns, panel += depth * TTile.Columns)
            {
                int columns = Math.Min(TTile.Columns, endColumn - column);
                if (Sizes.RightByColumn)
                    Panels.PackRightByColumn<TElements>(
                        right + ((long)column * Sizes.RightStride + k) * TElements.Size, Sizes.RightStride, columns, depth, TTile.Columns, panel);
                else
                    Panels.PackRight<TElements>(
                        right + ((long)k * Sizes.RightStride + column) * TElements.Size, Sizes.RightStride, columns, depth, TTile.Columns, panel);
            }
        }

        private readonly void PackLeft(PanelScratch scratch, int row, int rows, int k, int depth)
        {
            if (Sizes.LeftTransposed)
                Panels.PackLeftTransposed(
                    Sizes.Left + (long)k * Sizes.LeftStride + row, Sizes.LeftStride, rows, depth, TTile.Rows, scratch.Left);
            else Panels.PackLeft(Sizes.Left + (long)row * Sizes.LeftStride + k, Sizes.LeftStride, rows, depth, TTile.Rows, scratch.Left);
        }

        private readonly void MultiplyRows(PanelScratch scratch, int row, int rows, int firstColumn, int endColumn, int depth, bool accumulate)
        {
            float* panel = scratch.Right;
            for (int column = firstColumn; column < endColumn; column += TTile.Columns, panel += depth * TTile.Columns)
            {
                float* c = Sizes.C + (long)row * Sizes.Columns + column;
                int columns = Math.Min(TTile.Columns, endColumn - column);
                if (rows == TTile.Rows && columns == TTile.Columns)
                {
                    TTile.Multiply(scratch.Left, panel, depth, c, Sizes.Columns, accumulate);
                    continue;
                }

                TTile.Multiply(scratch.Left, panel, depth, scratch.Tile, TTile.Columns, false);
                CopyPart(scratch.Tile, rows, columns, c, accumulate);
            }
        }

        private readonly void CopyPart(float* tile, int rows, int columns, float* c, bool accumulate)
        {
            for (int row = 0; row < rows; row++, tile += TTile.Columns, c += Sizes.Columns)
                for (int column = 0; column < columns; column++) c[column] = accumulate ? c[column] + tile[column] : tile[column];
        }
    }
}
