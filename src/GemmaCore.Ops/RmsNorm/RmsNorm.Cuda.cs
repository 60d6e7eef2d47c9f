using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class RmsNorm
{
    private static readonly RowKernel ForwardKernel = new("rms_norm.cu", "rms_norm_forward");
    private static readonly RowKernel BackwardKernel = new("rms_norm.cu", "rms_norm_backward");

    private static void ForwardCuda(CudaDevice cuda, TensorView x, TensorView w, float eps, float gainOffset, TensorView y)
    {
        int rows = x.Shape.Rows, columns = x.Shape.Columns;
        if (rows == 0) return;
        cuda.Launch(ForwardKernel.For(columns), RowKernel.Grid(rows, columns), x, w, y, rows, columns, eps, gainOffset);
    }

    private static void BackwardCuda(
        CudaDevice cuda, TensorView x, TensorView w, float eps, float gainOffset, TensorView dY, TensorView dX, bool accumulate)
    {
        int rows = x.Shape.Rows, columns = x.Shape.Columns;
        if (rows == 0) return;
        cuda.Launch(BackwardKernel.For(columns), RowKernel.Grid(rows, columns), x, w, dY, dX, rows, columns, eps, gainOffset, accumulate);
    }
}
