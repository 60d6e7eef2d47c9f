using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class ScatterRows
{
    private const int Threads = 128;

    private static readonly CudaKernel ForwardKernel = new("scatter_rows.cu", "scatter_rows_forward");
    private static readonly CudaKernel NarrowKernel = new("scatter_rows.cu", "scatter_rows_narrow");
    private static readonly CudaKernel BackwardKernel = new("scatter_rows.cu", "scatter_rows_backward");

    // A block for each listed row; no source means zeros.
    private static void ForwardCuda(CudaDevice cuda, TensorView source, TensorView rows, TensorView y)
    {
        long count = rows.Shape.ElementCount;
        if (count > 0) cuda.Launch(y.DType == DType.BF16 ? NarrowKernel : ForwardKernel, new LaunchGrid(count, Threads), source, rows, y, y.Shape[0], y.Shape[1]);
    }

    private static void BackwardCuda(CudaDevice cuda, TensorView dY, TensorView rows, TensorView dSource, bool accumulate)
    {
        long count = rows.Shape.ElementCount;
        if (count > 0) cuda.Launch(BackwardKernel, new LaunchGrid(count, Threads), dY, rows, dSource, dY.Shape[0], dY.Shape[1], accumulate);
    }
}
