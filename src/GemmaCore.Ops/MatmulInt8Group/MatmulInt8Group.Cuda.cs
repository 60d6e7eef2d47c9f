using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class MatmulInt8Group
{
    private const int ElementsPerThread = 8;

    private static readonly DequantizeKernels Kernels = new("matmul_int8_group.cu", "matmul_int8_group_dequantize");

    /// <inheritdoc cref="QuantizedMatrix.Dequantize"/>
    internal static TensorView Dequantize(CudaDevice cuda, Int8GroupMatrix w)
    {
        (TensorView dense, CudaKernel kernel) = Kernels.Take(cuda, w.Shape);
        long count = w.Shape.ElementCount;
        cuda.Launch(
            kernel, LaunchGrid.Over((count + ElementsPerThread - 1) / ElementsPerThread, DequantizeKernels.Threads), w.Codes, w.Scales, dense, count, w.Shape[1],
            w.Scales.Shape[1], w.InTiles);
        return dense;
    }
}
