using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>The specialisations of the matmul kernels; each is compiled by a device when it is first launched there.</summary>
internal static class MatmulKernels
{
    // Indexed by element type where there is one: F32 = 0, F16 = 1, BF16 = 2.
    private static readonly string[] Names = ["float", "half", "bfloat16"];
    private static readonly int[] Tokens = [1, 4, 8];
    // The last only in NT (MatmulTile.Of).
    private static readonly (int Rows, int Columns)[] Tiles = [(64, 64), (128, 128), (128, 256), (256, 128)];

    private static readonly (int Rows, int Columns)[] WarpgroupTiles = [(128, 256), (256, 192)];

    private static readonly CudaKernel[,] Rows = Table(3, 3, (type, i) => new("matmul_rows.cu", "matmul_rows", $"-DWEIGHT={Names[type]} -DTOKENS={Tokens[i]}"));
    private static readonly CudaKernel[,] Plain64 = Plain(64), Plain128 = Plain(128);
    private static readonly CudaKernel[,] Half = Tensor("matmul_mma_tile", "half", "half", 2), HalfOfBFloat16 = Tensor("matmul_mma_tile", "half", "bfloat16", 2);
    private static readonly CudaKernel[,] BFloat16 = Tensor("matmul_mma_tile", "bfloat16", "bfloat16", 4);
    private static readonly CudaKernel[,] HalfReduce = Tensor("matmul_mma_reduce", "half", "half", 2), HalfOfBFloat16Reduce = Tensor("matmul_mma_reduce", "half", "bfloat16", 2);
    private static readonly CudaKernel[,] BFloat16Reduce = Tensor("matmul_mma_reduce", "bfloat16", "bfloat16", 4);
    private static readonly CudaKernel[,] Warpgroup = InWarpgroups("matmul_warpgroup_tile"), WarpgroupReduce = InWarpgroups("matmul_warpgroup_reduce");
    private static readonly CudaKernel[,] PackKernel =
        Table(3, 3, (from, to) => new("matmul_pack.cu", "matmul_pack", $"-DSOURCE={Names[from]} -DTARGET={Names[to]}"));

    /// <summary>Sums the parts of a product that was split in <see cref="MatmulPath.Plain"/>.</summary>
    public static CudaKernel Reduce { get; } = new("matmul_reduce.cu", "matmul_reduce");

    /// <summary>Largest magnitude of f32 values.</summary>
    public static CudaKernel AbsMax { get; } = new("matmul_pack.cu", "matmul_absmax", "-DSOURCE=float -DTARGET=half");

    /// <summary>Rounds a matrix to what tensor cores read.</summary>
    public static CudaKernel Pack(DType from, DType to) => PackKernel[(int)from, (int)to];

    /// <summary>The kernel of a plan; <paramref name="compute"/> is F16 or BF16 on tensor cores, <paramref name="weight"/> the type in which B is read.</summary>
    public static CudaKernel For(in MatmulPlan plan, MatmulLayout layout, DType compute, DType weight) => plan.Path switch
    {
        MatmulPath.Rows => Rows[(int)weight, Array.IndexOf(Tokens, plan.TileRows)],
        MatmulPath.Plain => (plan.TileRows == 64 ? Plain64 : Plain128)[(int)weight, (int)layout],
        MatmulPath.Warpgroup => Warpgroup[WarpgroupTileOf(plan), (int)layout],
        _ => (compute == DType.BF16 ? BFloat16 : weight == DType.BF16 ? HalfOfBFloat16 : Half)[TileOf(plan), (int)layout],
    };

    /// <summary>Sums the parts of the tiles that a plan for tensor cores cuts.</summary>
    public static CudaKernel ReduceFor(in MatmulPlan plan, MatmulLayout layout, DType compute, DType weight) => plan.Path == MatmulPath.Warpgroup
        ? WarpgroupReduce[WarpgroupTileOf(plan), (int)layout]
        : (compute == DType.BF16 ? BFloat16Reduce : weight == DType.BF16 ? HalfOfBFloat16Reduce : HalfReduce)[TileOf(plan), (int)layout];

    private static int TileOf(in MatmulPlan plan) => Array.IndexOf(Tiles, (plan.TileRows, plan.TileColumns));

    private static int WarpgroupTileOf(in MatmulPlan plan) => Array.IndexOf(WarpgroupTiles, (plan.TileRows, plan.TileColumns));

    private static CudaKernel[,] Plain(int tile) =>
        Table(3, 3, (type, layout) => new("matmul.cu", "matmul_tile", $"-DWEIGHT={Names[type]} -DLAYOUT={(MatmulLayout)layout} -DTILE={tile}"));

    // By tile and layout.
    private static CudaKernel[,] Tensor(string entry, string compute, string weight, int tiles) => Table(tiles, 3, (tile, layout) => new(
        "matmul_mma.cu", entry,
        $"-DCOMPUTE={compute} -DWEIGHT={weight} -DLAYOUT={(MatmulLayout)layout} -DBLOCK_M={Tiles[tile].Rows} -DBLOCK_N={Tiles[tile].Columns}"));

    private static CudaKernel[,] InWarpgroups(string entry) => Table(2, 3, (tile, layout) => new(
        "matmul_warpgroup.cu", entry, $"-DLAYOUT={(MatmulLayout)layout} -DBLOCK_M={WarpgroupTiles[tile].Rows} -DBLOCK_N={WarpgroupTiles[tile].Columns}"));

    private static CudaKernel[,] Table(int first, int second, Func<int, int, CudaKernel> make)
    {
        var table = new CudaKernel[first, second];
        for (int i = 0; i < first; i++)
            for (int j = 0; j < second; j++) table[i, j] = make(i, j);
        return table;
    }
}
