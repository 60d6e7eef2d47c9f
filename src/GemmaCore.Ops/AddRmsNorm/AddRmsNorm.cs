using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// A residual sum and the norm that reads it, in one pass over memory: sum = x + r, y = sum · rsqrt(mean(sum²) + eps) · (offset + w).
/// Equal to <see cref="Add"/> followed by <see cref="RmsNorm"/>.
/// </summary>
public static partial class AddRmsNorm
{
    /// <summary>Adds, and normalises every row of the sum.</summary>
    /// <param name="x">[…, D] f32: the residual stream.</param>
    /// <param name="r">Like x: what is added to it.</param>
    /// <param name="w">[D] f32 gain.</param>
    /// <param name="eps">Added to the mean square.</param>
    /// <param name="gainOffset">1 for Gemma, 0 for LLaMA.</param>
    /// <param name="sum">Like x; may be x or r in inference, not when a tape records. Saved for backward: must not be overwritten.</param>
    /// <param name="y">Like x; must not overlap the others.</param>
    /// <param name="tape">Null in inference.</param>
    public static void Forward(TensorView x, TensorView r, TensorView w, float eps, float gainOffset, TensorView sum, TensorView y, Tape? tape)
    {
        const string operation = "AddRmsNorm.Forward";
        Require.Floats(operation, "x", x);
        Require.SameShape(operation, "r", r, x);
        Require.Shape(operation, "w", w, new Shape(x.Shape.Columns));
        Require.SameShape(operation, "sum", sum, x);
        Require.SameShape(operation, "y", y, x);
        Require.That(y.Pointer != x.Pointer && y.Pointer != r.Pointer && y.Pointer != sum.Pointer, operation,
            $"y must not be x, r or sum, got the same memory for {y}");
        bool trackX = tape is not null && tape.Tracks(x), trackR = tape is not null && tape.Tracks(r);
        Require.That(!(trackX || trackR) || (sum.Pointer != x.Pointer && sum.Pointer != r.Pointer), operation,
            $"sum must not be x or r when a tape records, got the same memory for {sum}");
        if (x.Device is CpuDevice) ForwardCpu(x, r, w, eps, gainOffset, sum, y);
        else if (x.Device is CudaDevice cuda) ForwardCuda(cuda, x, r, w, eps, gainOffset, sum, y);
        else throw Require.NoSuchDevice(operation, x.Device);
        if (!(trackX || trackR)) return;
        // Backward is that of the two parts, newest first: dSum += the norm's gradient, then dX = dSum and dR = dSum. The sum may have a
        // gradient without y and y without the sum, so each output has its own entry on the tape.
        Add.Record(x, trackX, r, trackR, sum, tape!);
        RmsNorm.Record(sum, w, eps, gainOffset, y, tape!);
    }
}
