using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Products of some rows, up to a few hundred, with a matrix of codes in tiles on tensor cores: the codes are widened on their way into shared memory
/// (<c>matmul_quantized_mma.cu</c>), so that no plain matrix is written and read again. More rows share one that is.
/// </summary>
internal sealed class QuantizedTiles(string format)
{
    // kernels.md §1.6; where wgmma multiplies a plain matrix about twice as fast, half as many.
    private const int MostRows = 512, MostRowsBesideWarpgroups = 256;

    private readonly CudaKernel[,] _tile = Table(format, "matmul_quantized_mma_tile"), _reduce = Table(format, "matmul_quantized_mma_reduce");

    /// <summary>True when the kernels are for so many rows of x.</summary>
    public static bool Suit(CudaDevice cuda, int rows) =>
        cuda.Precision != CudaPrecision.Float32 && rows > 0 && rows <= (cuda.HasWarpgroups ? MostRowsBesideWarpgroups : MostRows);

    /// <summary>C = A·wᵀ + bias in NT, A·w (+ C) in NN.</summary>
    /// <param name="cuda">Card.</param>
    /// <param name="layout">NT or NN.</param>
    /// <param name="a">[M, K] or, in NN, [M, O] f32.</param>
    /// <param name="w">[O, K] in tiles.</param>
    /// <param name="bias">[O] f32 or default.</param>
    /// <param name="c">[M, O] or, in NN, [M, K] f32.</param>
    /// <param name="accumulate">Adds to what is in C.</param>
    public void Run(CudaDevice cuda, MatmulLayout layout, TensorView a, QuantizedMatrix w, TensorView bias, TensorView c, bool accumulate)
    {
        Arena.Mark start = cuda.Scratch.Position;
        int m = a.Shape.Rows, outputs = w.Shape[0], inputs = w.Shape[1], n = layout == MatmulLayout.NT ? outputs : inputs;
        DType compute = cuda.Precision == CudaPrecision.BFloat16 ? DType.BF16 : DType.F16;
        PackedMatrix packed = PackedMatrix.Of(cuda, a, compute, PackScale.Row);
        MatmulPlan plan = MatmulPlan.ForCodes(m, n, layout == MatmulLayout.NT ? inputs : outputs, cuda.Precision, cuda.Architecture, cuda.MultiprocessorCount);
        long cut = plan.Tiles - plan.Whole;
        TensorView partials = cut == 0 ? default : cuda.Scratch.Take(new Shape((int)cut * plan.Splits, plan.TileRows, plan.TileColumns));
        int type = compute == DType.F16 ? 0 : 1;
        CodeScales scales = w.CodeScales;
        cuda.Launch(
            _tile[type, (int)layout], new LaunchGrid(plan.Blocks, plan.Threads, sharedBytes: plan.SharedBytes),
            packed.Values, w.Codes, scales.Plain, scales.NestedCodes, scales.NestedScales, scales.NestedTable, packed.Exponents, bias, c, partials, m, outputs, inputs,
            (int)plan.Whole, plan.Splits, accumulate, scales.Offset);
        if (cut > 0)
            cuda.Launch(
                _reduce[type, (int)layout], new LaunchGrid(cut * plan.ReduceBlocks, plan.Threads), partials, bias, c, m, n, (int)plan.Whole, plan.Splits, accumulate);
        cuda.Scratch.Rewind(start);
    }

    // By type and layout, of which TN is not needed: codes have no gradient.
    private static CudaKernel[,] Table(string format, string entry)
    {
        var table = new CudaKernel[2, 2];
        for (int type = 0; type < 2; type++)
            for (int layout = 0; layout < 2; layout++)
                table[type, layout] = new CudaKernel(
                    "matmul_quantized_mma.cu", entry, $"-DFORMAT={format} -DCOMPUTE={(type == 0 ? "half" : "bfloat16")} -DLAYOUT={(MatmulLayout)layout}");
        return table;
    }
}
