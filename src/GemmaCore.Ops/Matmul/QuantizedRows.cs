using System.Collections.Immutable;
using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Decoding with matrices of codes, each read once for up to eight rows of x: <c>matmul_quantized_rows_mma.cu</c> on tensor cores in fp16,
/// <c>matmul_quantized_rows.cu</c> in fp32 on cards without.
/// </summary>
internal sealed class QuantizedRows
{
    private const int Depth = 64, TileOutputs = 16, Warps = 8, PlainWarps = 4, PlainStep = 512;

    private static readonly ImmutableArray<int> Tokens = [1, 4, 8];

    private readonly CudaKernel _tensorFour, _tensorEight;
    private readonly ImmutableArray<CudaKernel> _plain;

    private QuantizedRows(string format)
    {
        // An NF4 kernel for eight rows has two sets of columns; of int8 one kernel does for all.
        _tensorEight = new CudaKernel("matmul_quantized_rows_mma.cu", "matmul_quantized_rows_mma", $"-DFORMAT={format} -DTOKENS=8");
        _tensorFour = format == "NF4" ? new CudaKernel("matmul_quantized_rows_mma.cu", "matmul_quantized_rows_mma", $"-DFORMAT={format} -DTOKENS=4") : _tensorEight;
        _plain = [.. Tokens.Select(tokens => new CudaKernel("matmul_quantized_rows.cu", "matmul_quantized_rows", $"-DFORMAT={format} -DTOKENS={tokens}"))];
    }

    /// <summary>NF4 codes.</summary>
    public static QuantizedRows Nf4 { get; } = new("NF4");

    /// <summary>8-bit codes with a magnitude for each row.</summary>
    public static QuantizedRows Int8 { get; } = new("INT8");

    /// <summary>True when the kernels take these sizes; otherwise the matrix is written as plain elements first.</summary>
    public static bool Suits(TensorView x, Shape w, TensorView codes) =>
        x.Shape.Rows <= MatmulPlan.MostTokens && w[1] % Depth == 0 && (x.Pointer | codes.Pointer) % 16 == 0;

    /// <summary>y = x·wᵀ + bias.</summary>
    /// <param name="cuda">Card.</param>
    /// <param name="x">[T, K] f32, T at most eight.</param>
    /// <param name="w">[O, K].</param>
    /// <param name="codes">In the format's order.</param>
    /// <param name="absmax">Magnitudes in f32; for nested ones default.</param>
    /// <param name="bias">[O] f32 or default.</param>
    /// <param name="y">[T, O] f32.</param>
    /// <param name="nested">Nested magnitudes, or null.</param>
    public void Forward(CudaDevice cuda, TensorView x, Shape w, TensorView codes, TensorView absmax, TensorView bias, TensorView y, Nf4Absmax? nested = null)
    {
        int rows = x.Shape.Rows, outputs = w[0], depth = w[1];
        (CudaKernel kernel, LaunchGrid grid, int split) = cuda.Precision == CudaPrecision.Float32
            ? Plain(rows, outputs, depth, cuda.MultiprocessorCount)
            : Tensor(rows, outputs, cuda.MultiprocessorCount);
        cuda.Launch(
            kernel, grid, x, codes, absmax, nested?.Values ?? default, nested?.Scales ?? default, nested?.CodeTable ?? default, bias, y, rows, outputs, depth,
            split, nested?.Offset ?? 0);
    }

    // All warps of a block share a tile's depth unless there are tiles enough: more tiles in a block share its table of codes.
    private (CudaKernel Kernel, LaunchGrid Grid, int Split) Tensor(int rows, int outputs, int multiprocessors)
    {
        int split = outputs >= 4L * TileOutputs * multiprocessors ? 4 : 8, columns = Warps / split * TileOutputs;
        return (rows <= 4 ? _tensorFour : _tensorEight, new LaunchGrid((outputs + columns - 1) / columns, Warps * 32), split);
    }

    // As MatmulPlan does it for plain weights: few outputs leave a card idle unless more warps share each.
    private (CudaKernel Kernel, LaunchGrid Grid, int Split) Plain(int rows, int outputs, int depth, int multiprocessors)
    {
        int index = rows == 1 ? 0 : rows <= 4 ? 1 : 2, split = outputs < 64L * multiprocessors && depth > PlainStep ? PlainWarps : 1;
        int columns = PlainWarps / split * (Tokens[index] == 8 ? 2 : 4);
        return (_plain[index], new LaunchGrid((outputs + columns - 1) / columns, PlainWarps * 32), split);
    }
}
