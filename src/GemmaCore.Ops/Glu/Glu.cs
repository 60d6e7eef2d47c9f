using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>The gated linear unit's element-wise part: y = act(gate) ⊙ up.</summary>
/// <remarks>Source: arXiv:2002.05202 (GEGLU with GeluTanh in Gemma, SwiGLU with Silu in LLaMA).</remarks>
public static partial class Glu
{
    /// <summary>Gates.</summary>
    /// <param name="gate">[T, F] f32. Saved for backward: must not be overwritten.</param>
    /// <param name="up">Like gate. Saved for backward: must not be overwritten.</param>
    /// <param name="activation">act.</param>
    /// <param name="y">Like gate; may be gate or up in inference, not when a tape records.</param>
    /// <param name="tape">Null in inference.</param>
    public static void Forward(TensorView gate, TensorView up, Activation activation, TensorView y, Tape? tape)
    {
        Require.Floats("Glu.Forward", "gate", gate);
        Require.SameShape("Glu.Forward", "up", up, gate);
        Require.SameShape("Glu.Forward", "y", y, gate);
        bool trackGate = tape is not null && tape.Tracks(gate), trackUp = tape is not null && tape.Tracks(up);
        Require.That(!(trackGate || trackUp) || (y.Pointer != gate.Pointer && y.Pointer != up.Pointer), "Glu.Forward",
            $"y must not be gate or up when a tape records, got the same memory for {y}");
        if (gate.Device is CpuDevice cpu) ForwardCpu(cpu, gate, up, activation, y);
        else if (gate.Device is CudaDevice cuda) ForwardCuda(cuda, gate, up, activation, y);
        else throw Require.NoSuchDevice("Glu.Forward", gate.Device);
        if (trackGate || trackUp) Record(gate, trackGate, up, trackUp, activation, y, tape!);
    }

    // Apart from Forward: a lambda there would allocate its closure in inference too.
    private static void Record(TensorView gate, bool trackGate, TensorView up, bool trackUp, Activation activation, TensorView y, Tape tape) =>
        tape.Record("glu", y, () => Backward(gate, trackGate, up, trackUp, activation, y, tape));

    // dGate = dY ⊙ up ⊙ act′(gate) and dUp = dY ⊙ act(gate); act is computed again from the saved gate.
    private static void Backward(
        TensorView gate, bool trackGate, TensorView up, bool trackUp, Activation activation, TensorView y, Tape tape)
    {
        TensorView dY = tape.GradientOf(y), dGate = default, dUp = default;
        bool accumulateGate = false, accumulateUp = false;
        if (trackGate) dGate = tape.GradientFor(gate, out accumulateGate);
        if (trackUp) dUp = tape.GradientFor(up, out accumulateUp);
        if (gate.Device is CpuDevice cpu) BackwardCpu(cpu, gate, up, activation, dY, dGate, accumulateGate, dUp, accumulateUp);
        else if (gate.Device is CudaDevice cuda) BackwardCuda(cuda, gate, up, activation, dY, dGate, accumulateGate, dUp, accumulateUp);
        else throw Require.NoSuchDevice("Glu.Backward", gate.Device);
    }
}
