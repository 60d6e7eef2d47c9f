using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class Activate
{
    private static readonly ActivationKernel ForwardKernel = new("activate.cu", "activate_forward");
    private static readonly ActivationKernel BackwardKernel = new("activate.cu", "activate_backward");

    private static void ForwardCuda(CudaDevice cuda, TensorView x, Activation activation, TensorView y)
    {
        CudaKernel kernel = ForwardKernel.For(activation, "Activate.Forward");
        long count = x.Shape.ElementCount;
        if (count > 0) cuda.Launch(kernel, ElementGrid.Over(count, cuda.MultiprocessorCount), x, y, count);
    }

    private static void BackwardCuda(CudaDevice cuda, TensorView x, Activation activation, TensorView dY, TensorView dX, bool accumulate)
    {
        CudaKernel kernel = BackwardKernel.For(activation, "Activate.Backward");
        long count = x.Shape.ElementCount;
        if (count > 0) cuda.Launch(kernel, ElementGrid.Over(count, cuda.MultiprocessorCount), x, dY, dX, count, accumulate);
    }
}
