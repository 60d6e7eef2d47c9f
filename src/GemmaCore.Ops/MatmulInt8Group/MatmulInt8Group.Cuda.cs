using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class MatmulInt8Group
{
    private const int ElementsPerThread = 8;

    private static readonly DequantizeKernels Kernels = new("matmul_int8_group.cu", "matmul_int8_group_dequantize");

    private static void ForwardCuda(CudaDevice cuda, TensorView x, Int8GroupMatrix w, TensorView bias, TensorView y)
    {
        if (x.Shape.Rows == 0) return;
        Arena.Mark start = cuda.Scratch.Position;
        Matmul.NT(cuda, x, Dequantize(cuda, w), y, bias);
        cuda.Scratch.Rewind(start);
    }

    private static void BackwardCuda(CudaDevice cuda, TensorView dY, Int8GroupMatrix w, TensorView dX, bool accumulate)
    {
        Arena.Mark start = cuda.Scratch.Position;
        Matmul.NN(cuda, dY, Dequantize(cuda, w), dX, accumulate);
        cuda.Scratch.Rewind(start);
    }

    // The whole matrix in the type that the card multiplies in, rounded once: one pass, which many rows of x share.
    private static TensorView Dequantize(CudaDevice cuda, Int8GroupMatrix w)
    {
        (TensorView dense, CudaKernel kernel) = Kernels.Take(cuda, w.Shape);
        long count = w.Shape.ElementCount;
        cuda.Launch(
            kernel, LaunchGrid.Over((count + ElementsPerThread - 1) / ElementsPerThread, DequantizeKernels.Threads), w.Codes, w.Scales, dense, count, w.Shape[1],
            w.Scales.Shape[1]);
        return dense;
    }
}
