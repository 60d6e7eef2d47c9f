using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>The residual sum y = x + n, element by element.</summary>
public static partial class Add
{
    /// <summary>Adds.</summary>
    /// <param name="x">f32 of any shape: the residual stream.</param>
    /// <param name="n">Like x.</param>
    /// <param name="y">Like x; may be x or n in inference, not when a tape records.</param>
    /// <param name="tape">Null in inference.</param>
    public static void Forward(TensorView x, TensorView n, TensorView y, Tape? tape)
    {
        Require.Floats("Add.Forward", "x", x);
        Require.SameShape("Add.Forward", "n", n, x);
        Require.SameShape("Add.Forward", "y", y, x);
        bool trackX = tape is not null && tape.Tracks(x), trackN = tape is not null && tape.Tracks(n);
        Require.That(!(trackX || trackN) || (y.Pointer != x.Pointer && y.Pointer != n.Pointer), "Add.Forward",
            $"y must not be x or n when a tape records, got the same memory for {y}");
        if (x.Device is CpuDevice cpu) SumCpu(cpu, x, n, y);
        else if (x.Device is CudaDevice cuda) SumCuda(cuda, x, n, y);
        else throw Require.NoSuchDevice("Add.Forward", x.Device);
        if (trackX || trackN) Record(x, trackX, n, trackN, y, tape!);
    }

    // Apart from Forward: a lambda there would allocate its closure in inference too.
    internal static void Record(TensorView x, bool trackX, TensorView n, bool trackN, TensorView y, Tape tape) =>
        tape.Record("add", y, () => Backward(x, trackX, n, trackN, y, tape));

    // dX = dY and dN = dY. The last of the two to be served takes over dY's memory if it has none yet; the first needs a copy.
    private static void Backward(TensorView x, bool trackX, TensorView n, bool trackN, TensorView y, Tape tape)
    {
        if (trackX && trackN) Pass(n, y, tape);
        TensorView last = trackX ? x : n;
        if (!tape.TryHandOver(y, last)) Pass(last, y, tape);
    }

    private static void Pass(TensorView input, TensorView y, Tape tape)
    {
        TensorView dY = tape.GradientOf(y);
        TensorView dInput = tape.GradientFor(input, out bool accumulate);
        if (input.Device is CpuDevice cpu)
        {
            if (accumulate) SumCpu(cpu, dInput, dY, dInput);
            else CopyCpu(cpu, dY, dInput);
        }
        else if (input.Device is CudaDevice cuda)
        {
            if (accumulate) SumCuda(cuda, dInput, dY, dInput);
            else cuda.Copy(dY, dInput);
        }
        else
        {
            throw Require.NoSuchDevice("Add.Backward", input.Device);
        }
    }
}
