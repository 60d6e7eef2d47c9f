using System.Collections.Immutable;
using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Decoding with matrices of codes in tiles, each read once for up to eight rows of x: <c>matmul_quantized_rows_mma.cu</c> on tensor cores in fp16,
/// <c>matmul_quantized_rows.cu</c> in fp32 on cards without.
/// </summary>
internal sealed class QuantizedRows
{
    private const int Warps = 8, PlainWarps = 4;

    private static readonly ImmutableArray<int> Tokens = [1, 4, 8];

    private readonly ImmutableArray<CudaKernel> _tensor, _plain;

    public QuantizedRows(string format)
    {
        _tensor = [.. Enumerable.Range(1, 2).Select(tiles => new CudaKernel("matmul_quantized_rows_mma.cu", "matmul_quantized_rows_mma", $"-DFORMAT={format} -DTILES={tiles}"))];
        _plain = [.. Tokens.Select(tokens => new CudaKernel("matmul_quantized_rows.cu", "matmul_quantized_rows", $"-DFORMAT={format} -DTOKENS={tokens}"))];
    }

    /// <summary>True when the kernels take these rows of x.</summary>
    public static bool Suit(TensorView x) => x.Shape.Rows <= MatmulPlan.MostTokens && x.Pointer % 16 == 0;

    /// <summary>y = x·wᵀ + bias.</summary>
    /// <param name="cuda">Card.</param>
    /// <param name="x">[T, K] f32, T at most eight.</param>
    /// <param name="w">[O, K] in tiles.</param>
    /// <param name="bias">[O] f32 or default.</param>
    /// <param name="y">[T, O] f32.</param>
    public void Forward(CudaDevice cuda, TensorView x, QuantizedMatrix w, TensorView bias, TensorView y)
    {
        int rows = x.Shape.Rows, outputs = w.Shape[0], depth = w.Shape[1];
        (CudaKernel kernel, LaunchGrid grid, int split) = cuda.Precision == CudaPrecision.Float32
            ? Plain(rows, outputs, cuda.MultiprocessorCount)
            : Tensor(outputs, cuda.MultiprocessorCount);
        CodeScales scales = w.CodeScales;
        cuda.Launch(
            kernel, grid, x, w.Codes, scales.Plain, scales.NestedCodes, scales.NestedScales, scales.NestedTable, bias, y, rows, outputs, depth, split, scales.Offset);
    }

    // Two tiles in a warp share what it reads of x, and more of them in a block its table of codes; both only where every multiprocessor still has two blocks.
    // Never by the number of rows: a row's sum is the same whatever stands beside it.
    private (CudaKernel Kernel, LaunchGrid Grid, int Split) Tensor(int outputs, int multiprocessors)
    {
        int stripes = outputs / CodeTiles.Outputs, tiles = stripes >= 4L * multiprocessors ? 2 : 1, split = stripes >= 8L * multiprocessors ? 4 : 8;
        int columns = Warps / split * tiles * CodeTiles.Outputs;
        return (_tensor[tiles - 1], new LaunchGrid((outputs + columns - 1) / columns, Warps * 32), split);
    }

    // As MatmulPlan does it for plain weights: few outputs leave a card idle unless more warps share each.
    private (CudaKernel Kernel, LaunchGrid Grid, int Split) Plain(int rows, int outputs, int multiprocessors)
    {
        int index = rows == 1 ? 0 : rows <= 4 ? 1 : 2, split = outputs < 16L * CodeTiles.Outputs * multiprocessors ? PlainWarps : 1;
        int columns = PlainWarps / split * CodeTiles.Outputs;
        return (_plain[index], new LaunchGrid((outputs + columns - 1) / columns, PlainWarps * 32), split);
    }
}
