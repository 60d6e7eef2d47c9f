using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Norm and rotary position of query or key heads, in one pass over memory: y = R(x · rsqrt(mean(x²) + eps) · (offset + w)), head by head, R
/// the rotation by the token's angles. Equal to <see cref="RmsNorm"/> followed by <see cref="Rope"/>.
/// </summary>
public static partial class RmsNormRope
{
    /// <summary>Normalises and rotates every head of every token.</summary>
    /// <param name="x">[T, heads, H] f32, H even. Saved for backward: must not be overwritten.</param>
    /// <param name="w">[H] f32 gain.</param>
    /// <param name="eps">Added to the mean square.</param>
    /// <param name="gainOffset">1 for Gemma, 0 for a gain that is stored whole.</param>
    /// <param name="cos">[T, H/2] f32. Saved for backward: must not be overwritten.</param>
    /// <param name="sin">[T, H/2] f32. Saved for backward: must not be overwritten.</param>
    /// <param name="y">Like x; may be x in inference, not when a tape records.</param>
    /// <param name="tape">Null in inference.</param>
    public static void Forward(
        TensorView x, TensorView w, float eps, float gainOffset, TensorView cos, TensorView sin, TensorView y, Tape? tape)
    {
        const string operation = "RmsNormRope.Forward";
        Require.Floats(operation, "x", x);
        Require.That(x.Shape.Rank == 3 && x.Shape[2] % 2 == 0, operation, $"x must be f32[T, heads, H] with an even H, got {x}");
        Require.Shape(operation, "w", w, new Shape(x.Shape[2]));
        Require.Shape(operation, "cos", cos, new Shape(x.Shape[0], x.Shape[2] / 2));
        Require.Shape(operation, "sin", sin, new Shape(x.Shape[0], x.Shape[2] / 2));
        Require.SameShape(operation, "y", y, x);
        bool track = tape is not null && tape.Tracks(x);
        Require.That(!track || y.Pointer != x.Pointer, operation, $"y must not be x when a tape records, got the same memory for {y}");
        if (x.Device is CpuDevice) ForwardCpu(x, w, eps, gainOffset, cos, sin, y);
        else if (x.Device is CudaDevice cuda) ForwardCuda(cuda, x, w, eps, gainOffset, cos, sin, y);
        else throw Require.NoSuchDevice(operation, x.Device);
        if (track) Record(x, w, eps, gainOffset, cos, sin, y, tape!);
    }

    // Apart from Forward: a lambda there would allocate its closure in inference too.
    private static void Record(
        TensorView x, TensorView w, float eps, float gainOffset, TensorView cos, TensorView sin, TensorView y, Tape tape) =>
        tape.Record("rms_norm_rope", y, () => Backward(x, w, eps, gainOffset, cos, sin, y, tape));

    // With u = Rᵀ·dY, g = offset + w and r = rsqrt(mean(x²) + eps):  dX = r·(g⊙u) − x·r³/H·Σ(g⊙u⊙x).
    private static void Backward(
        TensorView x, TensorView w, float eps, float gainOffset, TensorView cos, TensorView sin, TensorView y, Tape tape)
    {
        TensorView dY = tape.GradientOf(y);
        TensorView dX = tape.GradientFor(x, out bool accumulate);
        if (x.Device is CpuDevice cpu) BackwardCpu(cpu, x, w, eps, gainOffset, cos, sin, dY, dX, accumulate);
        else if (x.Device is CudaDevice cuda) BackwardCuda(cuda, x, w, eps, gainOffset, cos, sin, dY, dX, accumulate);
        else throw Require.NoSuchDevice("RmsNormRope.Backward", x.Device);
    }
}
