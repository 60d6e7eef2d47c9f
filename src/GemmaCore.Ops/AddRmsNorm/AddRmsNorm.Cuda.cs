using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class AddRmsNorm
{
    private static readonly RowKernel ForwardKernel = new("add_rms_norm.cu", "add_rms_norm_forward");

    private static void ForwardCuda(
        CudaDevice cuda, TensorView x, TensorView r, TensorView w, float eps, float gainOffset, TensorView sum, TensorView y)
    {
        int rows = x.Shape.Rows, columns = x.Shape.Columns;
        if (rows == 0) return;
        cuda.Launch(ForwardKernel.For(columns), RowKernel.Grid(rows, columns), x, r, w, sum, y, rows, columns, eps, gainOffset);
    }
}
