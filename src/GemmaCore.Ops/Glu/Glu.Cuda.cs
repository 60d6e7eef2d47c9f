using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class Glu
{
    private static readonly ActivationKernel ForwardKernel = new("glu.cu", "glu_forward");
    private static readonly ActivationKernel BackwardKernel = new("glu.cu", "glu_backward");

    private static void ForwardCuda(CudaDevice cuda, TensorView gate, TensorView up, Activation activation, TensorView y)
    {
        CudaKernel kernel = ForwardKernel.For(activation, "Glu.Forward");
        long count = y.Shape.ElementCount;
        if (count > 0) cuda.Launch(kernel, ElementGrid.Over(count, cuda.MultiprocessorCount), gate, up, y, count);
    }

    private static void BackwardCuda(
        CudaDevice cuda, TensorView gate, TensorView up, Activation activation,
        TensorView dY, TensorView dGate, bool accumulateGate, TensorView dUp, bool accumulateUp)
    {
        CudaKernel kernel = BackwardKernel.For(activation, "Glu.Backward");
        long count = dY.Shape.ElementCount;
        if (count == 0) return;
        cuda.Launch(kernel, ElementGrid.Over(count, cuda.MultiprocessorCount), gate, up, dY, dGate, dUp, count, accumulateGate, accumulateUp);
    }
}
