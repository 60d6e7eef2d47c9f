using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class MatmulInt8
{
    private const int ElementsPerThread = 8;

    private static readonly DequantizeKernels Kernels = new("matmul_int8.cu", "matmul_int8_dequantize");

    private static void ForwardCuda(CudaDevice cuda, TensorView x, Int8Matrix w, TensorView bias, TensorView y)
    {
        if (x.Shape.Rows == 0) return;
        if (QuantizedRows.Suits(x, w.Shape, w.Codes))
        {
            QuantizedRows.Int8.Forward(cuda, x, w.Shape, w.Codes, w.Absmax, bias, y);
            return;
        }

        if (NeedsSlabs(w.Shape))
        {
            ForwardSlabs(cuda, x, w, bias, y, SlabRows(w.Shape));
            return;
        }

        Arena.Mark start = cuda.Scratch.Position;
        Matmul.NT(cuda, x, Dequantize(cuda, w), y, bias);
        cuda.Scratch.Rewind(start);
    }

    private static void BackwardCuda(CudaDevice cuda, TensorView dY, Int8Matrix w, TensorView dX, bool accumulate)
    {
        if (NeedsSlabs(w.Shape))
        {
            BackwardSlabs(cuda, dY, w, dX, accumulate, SlabRows(w.Shape));
            return;
        }

        Arena.Mark start = cuda.Scratch.Position;
        Matmul.NN(cuda, dY, Dequantize(cuda, w), dX, accumulate);
        cuda.Scratch.Rewind(start);
    }

    // The whole matrix in the type that the card multiplies in, rounded once: one pass, which many rows of x share.
    private static TensorView Dequantize(CudaDevice cuda, Int8Matrix w)
    {
        (TensorView dense, CudaKernel kernel) = Kernels.Take(cuda, w.Shape);
        long count = w.Shape.ElementCount;
        cuda.Launch(
            kernel, LaunchGrid.Over((count + ElementsPerThread - 1) / ElementsPerThread, DequantizeKernels.Threads), w.Codes, w.Absmax, dense, count, w.Shape[1]);
        return dense;
    }
}
