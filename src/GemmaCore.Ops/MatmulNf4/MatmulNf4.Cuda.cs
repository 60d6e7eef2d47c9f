using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class MatmulNf4
{
    private const int ElementsPerThread = 16;

    private static readonly DequantizeKernels Kernels = new("matmul_nf4.cu", "matmul_nf4_dequantize");

    /// <inheritdoc cref="QuantizedMatrix.Dequantize"/>
    internal static TensorView Dequantize(CudaDevice cuda, Nf4Matrix w)
    {
        (TensorView dense, CudaKernel kernel) = Kernels.Take(cuda, w.Shape);
        long count = w.Shape.ElementCount;
        CodeScales scales = w.CodeScales;
        cuda.Launch(
            kernel, LaunchGrid.Over((count + ElementsPerThread - 1) / ElementsPerThread, DequantizeKernels.Threads), w.Codes, scales.Plain,
            scales.NestedCodes, scales.NestedScales, scales.NestedTable, dense, count, w.InTiles ? w.Shape[1] : 0, scales.Offset);
        return dense;
    }
}
