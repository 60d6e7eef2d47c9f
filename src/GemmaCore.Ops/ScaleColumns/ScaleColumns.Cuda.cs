using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class ScaleColumns
{
    private const int Threads = 256;

    private static readonly CudaKernel ForwardKernel = new("scale_columns.cu", "scale_columns_forward");

    private static void ForwardCuda(CudaDevice cuda, TensorView y, TensorView scale, TensorView bias)
    {
        if (y.Shape.Rows > 0) cuda.Launch(ForwardKernel, new LaunchGrid(y.Shape.Rows, Threads), y, scale, bias, y.Shape.Columns);
    }
}
