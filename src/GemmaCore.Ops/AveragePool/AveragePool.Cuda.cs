using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class AveragePool
{
    private const int Threads = 128;

    private static readonly CudaKernel ForwardKernel = new("average_pool.cu", "average_pool_forward");
    private static readonly CudaKernel BackwardKernel = new("average_pool.cu", "average_pool_backward");

    // A block for each pooled row.
    private static void ForwardCuda(CudaDevice cuda, TensorView x, int side, int kernel, TensorView y)
    {
        long rows = (long)y.Shape[0] * y.Shape[1];
        if (rows > 0) cuda.Launch(ForwardKernel, new LaunchGrid(rows, Threads), x, y, side, kernel, x.Shape[2]);
    }

    // A block for each grid row.
    private static void BackwardCuda(CudaDevice cuda, TensorView dY, int side, int kernel, TensorView dX, bool accumulate)
    {
        long rows = (long)dX.Shape[0] * dX.Shape[1];
        if (rows > 0) cuda.Launch(BackwardKernel, new LaunchGrid(rows, Threads), dY, dX, side, kernel, dX.Shape[2], accumulate);
    }
}
