using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class RmsNormRope
{
    private const int RowsPerBlock = 4;

    private static readonly CudaKernel ForwardKernel = new("rms_norm_rope.cu", "rms_norm_rope_forward");
    private static readonly CudaKernel BackwardKernel = new("rms_norm_rope.cu", "rms_norm_rope_backward");

    private static void ForwardCuda(
        CudaDevice cuda, TensorView x, TensorView w, float eps, float gainOffset, TensorView cos, TensorView sin, TensorView y)
    {
        int rows = x.Shape.Rows;
        if (rows == 0) return;
        cuda.Launch(ForwardKernel, Grid(rows), x, w, cos, sin, y, rows, x.Shape[1], x.Shape[2] / 2, eps, gainOffset);
    }

    private static void BackwardCuda(
        CudaDevice cuda, TensorView x, TensorView w, float eps, float gainOffset, TensorView cos, TensorView sin,
        TensorView dY, TensorView dX, bool accumulate)
    {
        int rows = x.Shape.Rows;
        if (rows == 0) return;
        cuda.Launch(BackwardKernel, Grid(rows), x, w, cos, sin, dY, dX, rows, x.Shape[1], x.Shape[2] / 2, eps, gainOffset, accumulate);
    }

    // A head is a row: one warp each, whatever its size.
    private static LaunchGrid Grid(int rows) => new(((long)rows + RowsPerBlock - 1) / RowsPerBlock, 32 * RowsPerBlock);
}
