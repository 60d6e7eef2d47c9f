using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class MatmulNf4
{
    private const int ElementsPerThread = 16;

    private static readonly DequantizeKernels Kernels = new("matmul_nf4.cu", "matmul_nf4_dequantize");

    /// <summary>Products with few rows, which read each code once. False when it is not such a one.</summary>
    internal static bool ForwardFewRows(CudaDevice cuda, TensorView x, Nf4Matrix w, TensorView bias, TensorView y)
    {
        if (!QuantizedRows.Suits(x, w.Shape, w.Codes)) return false;
        bool isNested = w.Absmax.IsNested;
        QuantizedRows.Nf4.Forward(cuda, x, w.Shape, w.Codes, isNested ? default : w.Absmax.Values, bias, y, isNested ? w.Absmax : null);
        return true;
    }

    /// <inheritdoc cref="QuantizedMatrix.Dequantize"/>
    internal static TensorView Dequantize(CudaDevice cuda, Nf4Matrix w)
    {
        (TensorView dense, CudaKernel kernel) = Kernels.Take(cuda, w.Shape);
        long count = w.Shape.ElementCount;
        Nf4Absmax absmax = w.Absmax;
        cuda.Launch(
            kernel, LaunchGrid.Over((count + ElementsPerThread - 1) / ElementsPerThread, DequantizeKernels.Threads), w.Codes, absmax.IsNested ? default : absmax.Values,
            absmax.IsNested ? absmax.Values : default, absmax.Scales, absmax.CodeTable, dense, count, absmax.Offset);
        return dense;
    }
}
