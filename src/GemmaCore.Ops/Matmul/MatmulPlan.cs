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

    /// <summary>Tiles of the depth that are in shared memory at once.</summary>
    public int Stages { get; private init; }

    /// <summary>Parts of the depth that different blocks sum; in <see cref="MatmulPath.Rows"/> different warps of a block.</summary>
    public int Splits { get; private init; }

    /// <summary>Blocks, splits included.</summary>
    public long Blocks { get; private init; }

    /// <summary>Threads of a block.</summary>
    public int Threads { get; private init; }

    /// <summary>Dynamic shared memory of a block.</summary>
    public int SharedBytes { get; private init; }

    /// <summary>The plan for C[m, n] of depth k, and r more when two pairs of matrices are summed.</summary>
    public static MatmulPlan For(MatmulLayout layout, int m, int n, int k, int r, CudaPrecision precision, int architecture, int multiprocessors)
    {
        if (layout == MatmulLayout.NT && m <= MostTokens) return ForRows(m, n, k, multiprocessors);
        if (precision == CudaPrecision.Float32)
        {
            int tile = (long)Count(m, 128) * Count(n, 128) >= multiprocessors ? 128 : 64;
            return Tiled(MatmulPath.Plain, m, n, k + r, tile, tile, multiprocessors) with { Stages = 2, Threads = 256 };
        }

        (int rows, int columns) = TensorTile(m, n, HasRoomForWideTile(precision, architecture), multiprocessors);
        // Without cp.async two stages take turns.
        int stages = precision == CudaPrecision.Float16 ? 2 : columns == 256 ? 4 : 3;
        return Tiled(MatmulPath.Tensor, m, n, k + r, rows, columns, multiprocessors) with
        {
            Stages = stages,
            Threads = columns == 64 ? 128 : 256,
            SharedBytes = stages * (rows + columns) * 32 * sizeof(ushort),
        };
    }

    private static MatmulPlan ForRows(int m, int n, int k, int multiprocessors)
    {
        // Few outputs leave a card idle unless more warps share each. Not by m: a row's sum is the same whatever stands beside it.
        int splits = n < 32L * multiprocessors && k >= 1024 ? RowWarps : 1, tokens = m == 1 ? 1 : m <= 4 ? 4 : 8;
        int columns = RowWarps / splits * (tokens == 8 ? 4 : 2);
        return new MatmulPlan
        {
            Path = MatmulPath.Rows, TileRows = tokens, TileColumns = columns, Stages = 1, Splits = splits,
            Blocks = Count(n, columns), Threads = RowWarps * 32,
        };
    }

    // The tile whose last round of blocks wastes least. Smaller tiles read shared memory more often for each multiplication: the weights
    // are the ratios of ldmatrix to mma instructions, 8:32, 6:16 and 4:8 (warps of 64 x 64, 64 x 32 and 32 x 32).
    private static (int Rows, int Columns) TensorTile(int m, int n, bool wide, int multiprocessors)
    {
        long Cost(int rows, int columns, int weight) => Count(Count(m, rows) * (long)Count(n, columns), multiprocessors) * rows * columns * weight;

        long small = Cost(64, 64, 8), middle = Cost(128, 128, 6), large = wide ? Cost(128, 256, 5) : long.MaxValue;
        return large <= middle && large <= small ? (128, 256) : middle <= small ? (128, 128) : (64, 64);
    }

    // Its four stages take 96 KB, which 7.5, 8.6 and 8.9 do not have twice or at all.
    private static bool HasRoomForWideTile(CudaPrecision precision, int architecture) => precision == CudaPrecision.BFloat16 && architecture is 80 or 90;

    private static MatmulPlan Tiled(MatmulPath path, int m, int n, int depth, int rows, int columns, int multiprocessors)
    {
        long tiles = (long)Count(m, rows) * Count(n, columns);
        // A multiprocessor holds several small blocks.
        long wanted = (columns == 64 ? 2L : 1L) * multiprocessors / tiles;
        int splits = (int)Math.Clamp(wanted, 1, Math.Clamp(depth / LeastDepthOfSplit, 1, MostSplits));
        return new MatmulPlan { Path = path, TileRows = rows, TileColumns = columns, Splits = splits, Blocks = tiles * splits };
    }

    private static int Count(int length, int tile) => (int)(((long)length + tile - 1) / tile);

    private static long Count(long length, int tile) => (length + tile - 1) / tile;
}
