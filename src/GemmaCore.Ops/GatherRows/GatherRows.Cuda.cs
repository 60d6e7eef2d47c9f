using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class GatherRows
{
    private const int Threads = 128;

    private static readonly CudaKernel ForwardKernel = new("gather_rows.cu", "gather_rows_forward");
    private static readonly CudaKernel BackwardKernel = new("gather_rows.cu", "gather_rows_backward");

    // A block for each listed row.
    private static void ForwardCuda(CudaDevice cuda, TensorView x, TensorView rows, TensorView y)
    {
        if (y.Shape[0] > 0) cuda.Launch(ForwardKernel, new LaunchGrid(y.Shape[0], Threads), x, rows, y, x.Shape[0], x.Shape[1]);
    }

    // A block for each row of dX, which looks for itself in the list: a row may be listed twice, and no two blocks must add to it at once.
    private static void BackwardCuda(CudaDevice cuda, TensorView dY, TensorView rows, TensorView dX, bool accumulate)
    {
        if (dX.Shape[0] > 0) cuda.Launch(BackwardKernel, new LaunchGrid(dX.Shape[0], Threads), dY, rows, dX, dY.Shape[0], dX.Shape[1], accumulate);
    }
}
