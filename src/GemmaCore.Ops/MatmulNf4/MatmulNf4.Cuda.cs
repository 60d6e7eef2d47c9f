using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class MatmulNf4
{
    private const int ElementsPerThread = 16;

    private static readonly DequantizeKernels Kernels = new("matmul_nf4.cu", "matmul_nf4_dequantize");

    private static void ForwardCuda(CudaDevice cuda, TensorView x, Nf4Matrix w, TensorView bias, TensorView y)
    {
        if (x.Shape.Rows == 0) return;
        if (QuantizedRows.Suits(x, w.Shape, w.Codes))
        {
            bool isNested = w.Absmax.IsNested;
            QuantizedRows.Nf4.Forward(cuda, x, w.Shape, w.Codes, isNested ? default : w.Absmax.Values, bias, y, isNested ? w.Absmax : null);
            return;
        }

        Arena.Mark start = cuda.Scratch.Position;
        Matmul.NT(cuda, x, Dequantize(cuda, w), y, bias);
        cuda.Scratch.Rewind(start);
    }

    private static void BackwardCuda(CudaDevice cuda, TensorView dY, Nf4Matrix w, TensorView dX, bool accumulate)
    {
        Arena.Mark start = cuda.Scratch.Position;
        Matmul.NN(cuda, dY, Dequantize(cuda, w), dX, accumulate);
        cuda.Scratch.Rewind(start);
    }

    // The whole matrix in the type that the card multiplies in, rounded once: one pass, which many rows of x share.
    private static TensorView Dequantize(CudaDevice cuda, Nf4Matrix w)
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
