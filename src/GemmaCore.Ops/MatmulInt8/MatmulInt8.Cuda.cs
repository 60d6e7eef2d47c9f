using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class MatmulInt8
{
    private const int ElementsPerThread = 8;

    private static readonly DequantizeKernels Kernels = new("matmul_int8.cu", "matmul_int8_dequantize");

    /// <summary>Products with matrices too large to be dequantised whole. False when it is none.</summary>
    internal static bool ForwardSlabs(CudaDevice cuda, TensorView x, Int8Matrix w, TensorView bias, TensorView y)
    {
        if (!NeedsSlabs(w.Shape)) return false;
        ForwardSlabs(cuda, x, w, bias, y, SlabRows(w.Shape));
        return true;
    }

    /// <summary>The same of dX = dY·w.</summary>
    internal static bool BackwardSlabs(CudaDevice cuda, TensorView dY, Int8Matrix w, TensorView dX, bool accumulate)
    {
        if (!NeedsSlabs(w.Shape)) return false;
        BackwardSlabs(cuda, dY, w, dX, accumulate, SlabRows(w.Shape));
        return true;
    }

    /// <inheritdoc cref="QuantizedMatrix.Dequantize"/>
    internal static TensorView Dequantize(CudaDevice cuda, Int8Matrix w) => Dequantize(cuda, w, 0, w.Shape[0]);

    // Some of its rows; of one in tiles, whole tiles.
    private static TensorView Dequantize(CudaDevice cuda, Int8Matrix w, int first, int count)
    {
        TensorView codes = w.Codes.Slice(first, count);
        (TensorView dense, CudaKernel kernel) = Kernels.Take(cuda, codes.Shape);
        long elements = codes.Shape.ElementCount;
        cuda.Launch(
            kernel, LaunchGrid.Over((elements + ElementsPerThread - 1) / ElementsPerThread, DequantizeKernels.Threads), codes, w.Absmax.Slice(first, count), dense,
            elements, w.Shape[1], w.InTiles);
        return dense;
    }
}
