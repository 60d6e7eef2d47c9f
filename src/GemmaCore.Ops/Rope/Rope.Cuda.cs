using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class Rope
{
    // Both kernels take a block for each token.
    private const int Threads = 128;

    private static readonly CudaKernel TableKernel = new("rope.cu", "rope_fill_table");
    private static readonly CudaKernel RotateKernel = new("rope.cu", "rope_rotate");

    private static void FillTableCuda(CudaDevice cuda, TensorView positions, TensorView inverseFrequencies, TensorView cos, TensorView sin)
    {
        if (cos.Shape.Rows == 0) return;
        cuda.Launch(TableKernel, new LaunchGrid(cos.Shape.Rows, Threads), positions, inverseFrequencies, cos, sin, cos.Shape.Columns);
    }

    private static void RotateCuda(CudaDevice cuda, TensorView x, TensorView cos, TensorView sin, int direction)
    {
        if (x.Shape[0] == 0) return;
        cuda.Launch(RotateKernel, new LaunchGrid(x.Shape[0], Threads), x, cos, sin, x.Shape[1], x.Shape[2] / 2, (float)direction);
    }
}
