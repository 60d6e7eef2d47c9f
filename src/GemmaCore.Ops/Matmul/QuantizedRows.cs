using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>Decoding with matrices of codes: <c>matmul_quantized_rows.cu</c> reads each code once for up to eight rows of x, on tensor cores in fp16.</summary>
internal static class QuantizedRows
{
    private const int Depth = 64, TileOutputs = 16, Warps = 8, Threads = 32 * Warps;

    /// <summary>NF4 codes.</summary>
    public static CudaKernel Nf4 { get; } = new("matmul_quantized_rows.cu", "matmul_quantized_rows", "-DFORMAT=NF4");

    /// <summary>8-bit codes with a magnitude for each row.</summary>
    public static CudaKernel Int8 { get; } = new("matmul_quantized_rows.cu", "matmul_quantized_rows", "-DFORMAT=INT8");

    /// <summary>True when the kernel takes these sizes and the card has the cores; otherwise the matrix is written as plain elements first.</summary>
    public static bool Suits(CudaDevice cuda, TensorView x, Shape w, TensorView codes) =>
        cuda.Precision != CudaPrecision.Float32 && x.Shape.Rows <= MatmulPlan.MostTokens && w[1] % Depth == 0 && (x.Pointer | codes.Pointer) % 16 == 0;

    /// <summary>y = x·wᵀ + bias.</summary>
    /// <param name="cuda">Card.</param>
    /// <param name="kernel">Of the format.</param>
    /// <param name="x">[T, K] f32, T at most eight.</param>
    /// <param name="w">[O, K].</param>
    /// <param name="codes">In the format's order.</param>
    /// <param name="absmax">Magnitudes in f32; for nested ones default.</param>
    /// <param name="bias">[O] f32 or default.</param>
    /// <param name="y">[T, O] f32.</param>
    /// <param name="nested">Nested magnitudes, or null.</param>
    public static void Forward(
        CudaDevice cuda, CudaKernel kernel, TensorView x, Shape w, TensorView codes, TensorView absmax, TensorView bias, TensorView y, Nf4Absmax? nested = null)
    {
        int outputs = w[0], parts = Parts(outputs, cuda.MultiprocessorCount), blockOutputs = Warps / parts * TileOutputs;
        cuda.Launch(
            kernel, new LaunchGrid((outputs + blockOutputs - 1) / blockOutputs, Threads), x, codes, absmax,
            nested?.Values ?? default, nested?.Scales ?? default, nested?.CodeTable ?? default, bias, y, x.Shape.Rows, outputs, w[1], parts, nested?.Offset ?? 0);
    }

    // Warps that share a tile's depth: all of a block unless there are tiles enough, as more tiles in a block share its table.
    private static int Parts(int outputs, int multiprocessors) => outputs >= 4L * TileOutputs * multiprocessors ? 4 : 8;
}
