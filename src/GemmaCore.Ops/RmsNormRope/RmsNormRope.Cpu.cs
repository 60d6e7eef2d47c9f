using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class RmsNormRope
{
    private static void ForwardCpu(TensorView x, TensorView w, float eps, float gainOffset, TensorView cos, TensorView sin, TensorView y)
    {
        RmsNorm.Forward(x, w, eps, gainOffset, y, null);
        Rope.Forward(y, cos, sin, null);
    }

    // dY is turned back in place: this is the last that is asked of it.
    private static void BackwardCpu(
        CpuDevice cpu, TensorView x, TensorView w, float eps, float gainOffset, TensorView cos, TensorView sin,
        TensorView dY, TensorView dX, bool accumulate)
    {
        Rope.RotateCpu(cpu, dY, cos, sin, direction: -1);
        RmsNorm.BackwardCpu(cpu, x, w, eps, gainOffset, dY, dX, accumulate);
    }
}
