using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Layer normalisation with gain and shift: y = (x − mean(x)) · rsqrt(var(x) + eps) · w + b, row by row, statistics in fp32.
/// </summary>
/// <remarks>
/// Source: arXiv:1607.06450; the variance is the biased one (divided by D), as in torch.nn.LayerNorm. Gain and shift are frozen: only dX
/// is computed.
/// </remarks>
public static partial class LayerNorm
{
    /// <summary>Normalises every row.</summary>
    /// <param name="x">[…, D] f32; the innermost dimension is normalised. Saved for backward: must not be overwritten.</param>
    /// <param name="w">[D] f32 gain.</param>
    /// <param name="b">[D] f32 shift.</param>
    /// <param name="eps">Added to the variance.</param>
    /// <param name="y">Like x; must not overlap it when a tape records.</param>
    /// <param name="tape">Null in inference.</param>
    public static void Forward(TensorView x, TensorView w, TensorView b, float eps, TensorView y, Tape? tape)
    {
        Require.Floats("LayerNorm.Forward", "x", x);
        Require.Shape("LayerNorm.Forward", "w", w, new Shape(x.Shape.Columns));
        Require.Shape("LayerNorm.Forward", "b", b, new Shape(x.Shape.Columns));
        Require.SameShape("LayerNorm.Forward", "y", y, x);
        if (x.Device is CpuDevice cpu) ForwardCpu(cpu, x, w, b, eps, y);
        else if (x.Device is CudaDevice cuda) ForwardCuda(cuda, x, w, b, eps, y);
        else throw Require.NoSuchDevice("LayerNorm.Forward", x.Device);
        if (tape is not null && tape.Tracks(x)) Record(x, w, eps, y, tape);
    }

    // Apart from Forward: a lambda there would allocate its closure in inference too.
    private static void Record(TensorView x, TensorView w, float eps, TensorView y, Tape tape) =>
        tape.Record("layer_norm", y, () => Backward(x, w, eps, y, tape));

    // With r = rsqrt(var(x) + eps), x̂ = (x − mean(x))·r and u = w⊙dY:  dX = r·(u − mean(u) − x̂·mean(u⊙x̂)).
    private static void Backward(TensorView x, TensorView w, float eps, TensorView y, Tape tape)
    {
        TensorView dY = tape.GradientOf(y);
        TensorView dX = tape.GradientFor(x, out bool accumulate);
        if (x.Device is CpuDevice cpu) BackwardCpu(cpu, x, w, eps, dY, dX, accumulate);
        else if (x.Device is CudaDevice cuda) BackwardCuda(cuda, x, w, eps, dY, dX, accumulate);
        else throw Require.NoSuchDevice("LayerNorm.Backward", x.Device);
    }
}
