using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// The packed product: a part is a block of C; for each slice of the depth it packs its columns of the right matrix once and carries
/// every panel of left rows past them.
/// </summary>
internal static unsafe class PackedGemm<TTile, TRight> where TTile : struct, ITile where TRight : struct, IRightMatrix
{
    // Below this many multiply-adds a part is not worth handing to a thread (some 2 µs on one core).
    private const long SmallestPart = 1 << 18;
    private const int WantedParts = 16;

    // Columns of a part when there are enough of them to share out: each column packed is used by every row.
    private const int SmallestColumnBlock = 64;

    public static void Run(WorkerPool workers, in GemmSizes sizes, TRight right)
    {
        // By shape, never by thread count. Wide results are cut into columns, narrow ones into rows.
        long work = (long)sizes.Rows * sizes.Columns * Math.Max(1, sizes.Depth);
        int parts = (int)Math.Clamp(work / SmallestPart, 1, WantedParts);
        int smallest = parts == 1 ? PanelScratch.MaxColumns : SmallestColumnBlock, panel = 2 * TTile.Lanes;
        int columns = Math.Clamp(RoundUp(Ceiling(sizes.Columns, parts), panel), smallest, PanelScratch.MaxColumns);
        int columnBlocks = Ceiling(sizes.Columns, columns);
        if (columnBlocks < parts / 2)
        {
            columnBlocks = Ceiling(sizes.Columns, PanelScratch.MaxColumns);
            columns = RoundUp(Ceiling(sizes.Columns, columnBlocks), panel);
        }

        int rowBlocks = Math.Clamp(parts / columnBlocks, 1, Ceiling(sizes.Rows, TTile.Rows));
        int rows = RoundUp(Ceiling(sizes.Rows, rowBlocks), TTile.Rows);
        int slices = Math.Max(1, Ceiling(sizes.Depth, PanelScratch.MaxDepth));
        var job = new Work
        {
            Sizes = sizes, Right = right, ColumnBlock = columns, ColumnBlocks = Ceiling(sizes.Columns, columns), RowBlock = rows,
            Slice = Math.Max(1, RoundUp(Ceiling(sizes.Depth, slices), 8)),
        };
        workers.Run(ref job, job.ColumnBlocks * Ceiling(sizes.Rows, rows));
    }

    private static int Ceiling(int value, int divisor) => (value + divisor - 1) / divisor;

    private static int RoundUp(int value, int multiple) => Ceiling(value, multiple) * multiple;

    private struct Work : IWork
    {
        public GemmSizes Sizes;
        public TRight Right;
        public int ColumnBlock, ColumnBlocks, RowBlock, Slice;

        public readonly void Execute(int index)
        {
            PanelScratch scratch = PanelScratch.Mine;
            int firstColumn = index % ColumnBlocks * ColumnBlock, columns = Math.Min(ColumnBlock, Sizes.Columns - firstColumn);
            int firstRow = index / ColumnBlocks * RowBlock, endRow = Math.Min(Sizes.Rows, firstRow + RowBlock);
            bool accumulate = Sizes.Accumulate;
            if (Sizes.Bias != null || Sizes.Depth == 0)
            {
                Begin(firstRow, endRow, firstColumn, firstColumn + columns);
                accumulate = true;
            }

            for (int k = 0; k < Sizes.Depth; k += Slice)
            {
                int depth = Math.Min(Slice, Sizes.Depth - k);
                Right.Pack(firstColumn, columns, k, depth, TTile.Lanes, scratch);
                for (int row = firstRow; row < endRow; row += TTile.Rows)
                {
                    int rows = Math.Min(TTile.Rows, endRow - row);
                    PackLeft(scratch, row, rows, k, depth);
                    MultiplyRows(scratch, row, rows, firstColumn, columns, depth, accumulate);
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

        private readonly void PackLeft(PanelScratch scratch, int row, int rows, int k, int depth)
        {
            int packed = RoundUp(rows, TTile.RowStep);
            if (Sizes.LeftTransposed)
                Panels.PackLeftTransposed(Sizes.Left + (long)k * Sizes.LeftStride + row, Sizes.LeftStride, rows, depth, packed, scratch.Left);
            else Panels.PackLeft(Sizes.Left + (long)row * Sizes.LeftStride + k, Sizes.LeftStride, rows, depth, packed, scratch.Left);
        }

        private readonly void MultiplyRows(PanelScratch scratch, int row, int rows, int firstColumn, int columns, int depth, bool accumulate)
        {
            float* panel = scratch.Right, c = Sizes.C + (long)row * Sizes.Columns + firstColumn;
            bool wholeRows = rows % TTile.RowStep == 0;
            while (columns > 0)
            {
                int vectors = columns > TTile.Lanes ? 2 : 1, width = vectors * TTile.Lanes, used = Math.Min(width, columns);
                if (wholeRows && used == width) TTile.Multiply(scratch.Left, panel, rows, vectors, depth, c, Sizes.Columns, accumulate);
                else
                {
                    TTile.Multiply(scratch.Left, panel, rows, vectors, depth, scratch.Tile, width, false);
                    PutPart(scratch.Tile, width, rows, used, c, accumulate);
                }

                panel += (long)depth * width;
                c += used;
                columns -= used;
            }
        }

        // The part of a tile that lies inside C.
        private readonly void PutPart(float* tile, int width, int rows, int columns, float* c, bool accumulate)
        {
            for (int row = 0; row < rows; row++, tile += width, c += Sizes.Columns)
            {
                int column = 0;
                for (; column <= columns - Lanes.Width; column += Lanes.Width)
                    Lanes.Store(accumulate ? Lanes.Load(c + column) + Lanes.Load(tile + column) : Lanes.Load(tile + column), c + column);
                for (; column < columns; column++) c[column] = accumulate ? c[column] + tile[column] : tile[column];
            }
        }
    }
}
