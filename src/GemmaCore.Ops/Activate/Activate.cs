using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>An activation without a gate: y = act(x), element by element (the vision encoders' feed-forward).</summary>
public static partial class Activate
{
    /// <summary>Activates.</summary>
    /// <param name="x">f32 of any shape. Saved for backward: must not be overwritten.</param>
    /// <param name="activation">act.</param>
    /// <param name="y">Like x; may be x in inference, not when a tape records.</param>
    /// <param name="tape">Null in inference.</param>
    public static void Forward(TensorView x, Activation activation, TensorView y, Tape? tape)
    {
        Require.Floats("Activate.Forward", "x", x);
        Require.SameShape("Activate.Forward", "y", y, x);
        bool track = tape is not null && tape.Tracks(x);
        Require.That(!track || y.Pointer != x.Pointer, "Activate.Forward",
            $"y must not be x when a tape records, got the same memory for {y}");
        if (x.Device is CpuDevice cpu) ForwardCpu(cpu, x, activation, y);
        else if (x.Device is CudaDevice cuda) ForwardCuda(cuda, x, activation, y);
        else throw Require.NoSuchDevice("Activate.Forward", x.Device);
        if (track) Record(x, activation, y, tape!);
    }

    // Apart from Forward: a lambda there would allocate its closure in inference too.
    private static void Record(TensorView x, Activation activation, TensorView y, Tape tape) =>
        tape.Record("activate", y, () => Backward(x, activation, y, tape));

    // dX = dY ⊙ act′(x); act′ is computed again from the saved x.
    private static void Backward(TensorView x, Activation activation, TensorView y, Tape tape)
    {
        TensorView dY = tape.GradientOf(y);
        TensorView dX = tape.GradientFor(x, out bool accumulate);
        if (x.Device is CpuDevice cpu) BackwardCpu(cpu, x, activation, dY, dX, accumulate);
        else if (x.Device is CudaDevice cuda) BackwardCuda(cuda, x, activation, dY, dX, accumulate);
        else throw Require.NoSuchDevice("Activate.Backward", x.Device);
    }
}
