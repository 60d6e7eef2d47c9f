using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>Picks rows: y[i] = x[rows[i]].</summary>
public static partial class GatherRows
{
    /// <summary>Copies the listed rows.</summary>
    /// <param name="x">[T, D] f32.</param>
    /// <param name="rows">[R] i32, each below T. The CPU refuses others; a card, which nobody waits for, makes NaN of such a row.</param>
    /// <param name="y">[R, D] f32.</param>
    /// <param name="tape">Null in inference.</param>
    public static void Forward(TensorView x, TensorView rows, TensorView y, Tape? tape)
    {
        const string operation = "GatherRows.Forward";
        Require.Floats(operation, "x", x);
        Require.That(x.Shape.Rank == 2 && y.Shape.Rank == 2 && y.Shape[1] == x.Shape[1], operation, $"x must be [T, D] and y [R, D], got {x} and {y}");
        Require.Floats(operation, "y", y);
        Require.Ints(operation, "rows", rows, y.Shape[0]);
        if (x.Device is CpuDevice cpu) ForwardCpu(cpu, x, rows, y);
        else if (x.Device is CudaDevice cuda) ForwardCuda(cuda, x, rows, y);
        else throw Require.NoSuchDevice(operation, x.Device);
        if (tape is not null && tape.Tracks(x)) Record(x, rows, y, tape);
    }

    private static void Record(TensorView x, TensorView rows, TensorView y, Tape tape) => tape.Record("gather_rows", y, () => Backward(x, rows, y, tape));

    // dX[rows[i]] += dY[i]; rows that were not picked get nothing.
    private static void Backward(TensorView x, TensorView rows, TensorView y, Tape tape)
    {
        TensorView dY = tape.GradientOf(y);
        TensorView dX = tape.GradientFor(x, out bool accumulate);
        if (x.Device is CpuDevice cpu) BackwardCpu(cpu, dY, rows, dX, accumulate);
        else if (x.Device is CudaDevice cuda) BackwardCuda(cuda, dY, rows, dX, accumulate);
        else throw Require.NoSuchDevice("GatherRows.Backward", x.Device);
    }
}
