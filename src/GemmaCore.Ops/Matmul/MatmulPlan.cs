using GemmaCore.Cuda;

namespace GemmaCore.Ops;

/// <summary>Which operand lies which way, in the BLAS sense: T is transposed as stored.</summary>
internal enum MatmulLayout
{
    /// <summary>C[M,N] = A[M,K]·B[N,K]ᵀ.</summary>
    NT,

    /// <summary>C[M,N] = A[M,K]·B[K,N].</summary>
    NN,

    /// <summary>C[M,N] = A[K,M]ᵀ·B[K,N].</summary>
    TN,
}

/// <summary>The kernels that compute products.</summary>
internal enum MatmulPath
{
    /// <summary><c>matmul_rows.cu</c>: a few rows, bound by reading the weights; fp32.</summary>
    Rows,

    /// <summary><c>matmul.cu</c>: fp32 multiply-adds.</summary>
    Plain,

    /// <summary><c>matmul_mma.cu</c>: fp16 or bf16 tensor cores.</summary>
    Tensor,

    /// <summary><c>matmul_warpgroup.cu</c>: bf16 tensor cores of Hopper, asked by four warps together.</summary>
    Warpgroup,
}

/// <summary>How a product is spread over a card. A pure function of sizes and of what the card is; sums are cut by nothing else.</summary>
internal readonly record struct MatmulPlan
{
    /// <summary>Most rows of <see cref="MatmulPath.Rows"/>.</summary>
    public const int MostTokens = 8;

    // A block of matmul_rows is four warps, which share the depth by one or by four.
    private const int RowWarps = 4;
    private const int MostSplits = 16, LeastDepthOfSplit = 256;

    /// <summary>Kernel.</summary>
    public MatmulPath Path { get; private init; }

    /// <summary>Rows of C that one block computes; rows of x that the kernel is made for (1, 4, 8) in <see cref="MatmulPath.Rows"/>.</summary>
    public int TileRows { get; private init; }

    /// <summary>Columns of C that one block computes.</summary>
    public int TileColumns { get; private init; }

    /// <summary>Tiles of C.</summary>
    public long Tiles { get; private init; }

    /// <summary>The first of them, which a block each computes from end to end.</summary>
    public long Whole { get; private init; }

    /// <summary>Parts of the depth that different blocks sum in the other tiles; in <see cref="MatmulPath.Rows"/> different warps of a block.</summary>
    public int Splits { get; private init; }

    /// <summary>Blocks, splits included.</summary>
    public long Blocks { get; private init; }

    /// <summary>Blocks that share the reduction of a tile.</summary>
    public int ReduceBlocks { get; private init; }

    /// <summary>Threads of a block.</summary>
    public int Threads { get; private init; }

    /// <summary>Dynamic shared memory of a block.</summary>
    public int SharedBytes { get; private init; }

    /// <summary>The plan for C[m, n] of depth k, and r more when two pairs of matrices are summed.</summary>
    public static MatmulPlan For(
        MatmulLayout layout, int m, int n, int k, int r, CudaPrecision precision, int architecture, int multiprocessors, bool hasWarpgroups)
    {
        if (layout == MatmulLayout.NT && m <= MostTokens) return ForRows(m, n, k, multiprocessors);
        if (precision == CudaPrecision.Float32) return ForPlain(m, n, k + r, multiprocessors);
        MatmulPlan best = default;
        long least = long.MaxValue;
        foreach (MatmulTile tile in MatmulTile.Of(layout, precision, architecture, hasWarpgroups))
        {
            (MatmulPlan plan, long time) = ForTensor(tile, m, n, k + r, multiprocessors);
            if (time < least) (best, least) = (plan, time);
        }

        return best;
    }

    /// <summary>The plan for C[m, n] of depth k with codes that are widened on their way into shared memory (<see cref="QuantizedTiles"/>).</summary>
    public static MatmulPlan ForCodes(int m, int n, int k, CudaPrecision precision, int architecture, int multiprocessors) =>
        ForTensor(MatmulTile.OfCodes(precision, architecture), m, n, k, multiprocessors).Plan;

    private static MatmulPlan ForRows(int m, int n, int k, int multiprocessors)
    {
        // Few outputs leave a card idle unless more warps share each. Not by m: a row's sum is the same whatever stands beside it.
        int splits = n < 32L * multiprocessors && k >= 1024 ? RowWarps : 1, tokens = m == 1 ? 1 : m <= 4 ? 4 : 8;
        int columns = RowWarps / splits * (tokens == 8 ? 4 : 2);
        return new MatmulPlan
        {
            Path = MatmulPath.Rows, TileRows = tokens, TileColumns = columns, Tiles = Count(n, columns), Whole = Count(n, columns), Splits = splits,
            Blocks = Count(n, columns), Threads = RowWarps * 32,
        };
    }

    private static MatmulPlan ForPlain(int m, int n, int depth, int multiprocessors)
    {
        int tile = (long)Count(m, 128) * Count(n, 128) >= multiprocessors ? 128 : 64;
        long tiles = (long)Count(m, tile) * Count(n, tile);
        // A multiprocessor holds several small blocks.
        long wanted = (tile == 64 ? 2L : 1L) * multiprocessors / tiles;
        int splits = (int)Math.Clamp(wanted, 1, MostSplitsOf(depth));
        return new MatmulPlan
        {
            Path = MatmulPath.Plain, TileRows = tile, TileColumns = tile, Tiles = tiles, Whole = splits == 1 ? tiles : 0, Splits = splits,
            Blocks = tiles * splits, Threads = 256,
        };
    }

    /// <summary>
    /// The plan that has one kind of tile, and the nanoseconds that it should take. Full rounds of tiles are
    /// computed whole. What is left would keep only a part of the card busy: its depth is cut as far as that saves time.
    /// </summary>
    internal static (MatmulPlan Plan, long Time) ForTensor(in MatmulTile tile, int m, int n, int depth, int multiprocessors)
    {
        long tiles = (long)Count(m, tile.Rows) * Count(n, tile.Columns), rounds = tiles / ((long)multiprocessors * tile.Together);
        long whole = rounds * multiprocessors * tile.Together, rest = tiles - whole;
        int steps = Count(depth, MatmulTile.Step), splits = 1;
        long least = tile.Time(rest, steps, multiprocessors);
        for (int candidate = 2; rest > 0 && candidate <= MostSplitsOf(depth); candidate++)
        {
            long time = tile.Time(rest * candidate, Count(steps, candidate), multiprocessors) + tile.ReduceTime(rest * candidate, multiprocessors);
            if (time < least) (splits, least) = (candidate, time);
        }

        if (splits == 1) whole = tiles;
        var plan = new MatmulPlan
        {
            Path = tile.InWarpgroups ? MatmulPath.Warpgroup : MatmulPath.Tensor, TileRows = tile.Rows, TileColumns = tile.Columns, Tiles = tiles, Whole = whole, Splits = splits,
            Blocks = whole + (tiles - whole) * splits, Threads = tile.Threads, SharedBytes = tile.SharedBytes,
            ReduceBlocks = tile.ReduceBlocks,
        };
        return (plan, least + tile.Time(rounds * multiprocessors * tile.Together, steps, multiprocessors));
    }

    private static int MostSplitsOf(int depth) => Math.Clamp(depth / LeastDepthOfSplit, 1, MostSplits);

    private static int Count(int length, int tile) => (int)(((long)length + tile - 1) / tile);
}
