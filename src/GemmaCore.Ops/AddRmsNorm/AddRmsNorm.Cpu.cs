using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class AddRmsNorm
{
    // A row of the sum is still in the cache when its norm reads it; there is no launch to save either.
    private static void ForwardCpu(TensorView x, TensorView r, TensorView w, float eps, float gainOffset, TensorView sum, TensorView y)
    {
        Add.Forward(x, r, sum, null);
        RmsNorm.Forward(sum, w, eps, gainOffset, y, null);
    }
}
