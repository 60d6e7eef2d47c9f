using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// RMS normalisation with a gain: y = x · rsqrt(mean(x²) + eps) · (offset + w), row by row, statistics in fp32.
/// </summary>
/// <remarks>
/// Source: arXiv:1910.07467. Gemma stores its gain as w of 1 + w (<c>gainOffset</c> 1), LLaMA stores it whole (0); observed in
/// transformers 4.57 (Gemma3RMSNorm, LlamaRMSNorm). The gain is frozen: only dX is computed.
/// </remarks>
public static partial class RmsNorm
{
    /// <summary>Normalises every row.</summary>
    /// <param name="x">[…, D] f32; the innermost dimension is normalised. Saved for backward: must not be overwritten.</param>
    /// <param name="w">[D] f32 gain.</param>
    /// <param name="eps">Added to the mean square.</param>
    /// <param name="gainOffset">1 for Gemma, 0 for LLaMA.</param>
    /// <param name="y">Like x; must not overlap it when a tape records.</param>
    /// <param name="tape">Null in inference.</param>
    public static void Forward(TensorView x, TensorView w, float eps, float gainOffset, TensorView y, Tape? tape)
    {
        Require.Floats("RmsNorm.Forward", "x", x);
        Require.Shape("RmsNorm.Forward", "w", w, new Shape(x.Shape.Columns));
        Require.SameShape("RmsNorm.Forward", "y", y, x);
        if (x.Device is CpuDevice cpu) ForwardCpu(cpu, x, w, eps, gainOffset, y);
        else if (x.Device is CudaDevice cuda) ForwardCuda(cuda, x, w, eps, gainOffset, y);
        else throw Require.NoSuchDevice("RmsNorm.Forward", x.Device);
        if (tape is not null && tape.Tracks(x)) Record(x, w, eps, gainOffset, y, tape);
    }

    // Apart from Forward: a lambda there would allocate its closure in inference too.
    internal static void Record(TensorView x, TensorView w, float eps, float gainOffset, TensorView y, Tape tape) =>
        tape.Record("rms_norm", y, () => Backward(x, w, eps, gainOffset, y, tape));

    // With g = offset + w and r = rsqrt(mean(x²) + eps):  dX = r·(g⊙dY) − x·r³/D·Σ(g⊙dY⊙x).
    private static void Backward(TensorView x, TensorView w, float eps, float gainOffset, TensorView y, Tape tape)
    {
        TensorView dY = tape.GradientOf(y);
        TensorView dX = tape.GradientFor(x, out bool accumulate);
        if (x.Device is CpuDevice cpu) BackwardCpu(cpu, x, w, eps, gainOffset, dY, dX, accumulate);
        else if (x.Device is CudaDevice cuda) BackwardCuda(cuda, x, w, eps, gainOffset, dY, dX, accumulate);
        else throw Require.NoSuchDevice("RmsNorm.Backward", x.Device);
    }
}
