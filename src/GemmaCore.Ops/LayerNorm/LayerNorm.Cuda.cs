using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class LayerNorm
{
    private static readonly RowKernel ForwardKernel = new("layer_norm.cu", "layer_norm_forward");
    private static readonly RowKernel BackwardKernel = new("layer_norm.cu", "layer_norm_backward");

    private static void ForwardCuda(CudaDevice cuda, TensorView x, TensorView w, TensorView b, float eps, TensorView y)
    {
        int rows = x.Shape.Rows, columns = x.Shape.Columns;
        if (rows == 0) return;
        cuda.Launch(ForwardKernel.For(columns), RowKernel.Grid(rows, columns), x, w, b, y, rows, columns, eps);
    }

    private static void BackwardCuda(
        CudaDevice cuda, TensorView x, TensorView w, float eps, TensorView dY, TensorView dX, bool accumulate)
    {
        int rows = x.Shape.Rows, columns = x.Shape.Columns;
        if (rows == 0) return;
        cuda.Launch(BackwardKernel.For(columns), RowKernel.Grid(rows, columns), x, w, dY, dX, rows, columns, eps, accumulate);
    }
}
