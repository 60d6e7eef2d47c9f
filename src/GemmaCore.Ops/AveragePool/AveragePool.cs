using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>Mean over square windows of a square grid of feature rows, window and stride equal (gemma3.md §4.4).</summary>
public static partial class AveragePool
{
    /// <summary>Pools every image's grid.</summary>
    /// <param name="x">[N, side·side, D] f32, row-major grids. Not needed for backward.</param>
    /// <param name="side">Grid side.</param>
    /// <param name="kernel">Window side; a remainder at the right and lower edge is left out.</param>
    /// <param name="y">[N, (side/kernel)², D] f32.</param>
    /// <param name="tape">Null in inference.</param>
    public static void Forward(TensorView x, int side, int kernel, TensorView y, Tape? tape)
    {
        const string operation = "AveragePool.Forward";
        Require.Floats(operation, "x", x);
        Require.That(kernel >= 1 && side >= kernel, operation, $"kernel must be 1 to side, got {kernel} of {side}");
        Require.That(x.Shape.Rank == 3 && x.Shape[1] == side * side, operation, $"x must be [N, {side * side}, D], got {x}");
        Require.Shape(operation, "y", y, new Shape(x.Shape[0], side / kernel * (side / kernel), x.Shape[2]));
        if (x.Device is CpuDevice cpu) ForwardCpu(cpu, x, side, kernel, y);
        else if (x.Device is CudaDevice cuda) ForwardCuda(cuda, x, side, kernel, y);
        else throw Require.NoSuchDevice(operation, x.Device);
        if (tape is not null && tape.Tracks(x)) Record(x, side, kernel, y, tape);
    }

    private static void Record(TensorView x, int side, int kernel, TensorView y, Tape tape) =>
        tape.Record("average_pool", y, () => Backward(x, side, kernel, y, tape));

    // Every element of a window gets dY / kernel².
    private static void Backward(TensorView x, int side, int kernel, TensorView y, Tape tape)
    {
        TensorView dY = tape.GradientOf(y);
        TensorView dX = tape.GradientFor(x, out bool accumulate);
        if (x.Device is CpuDevice cpu) BackwardCpu(cpu, dY, side, kernel, dX, accumulate);
        else if (x.Device is CudaDevice cuda) BackwardCuda(cuda, dY, side, kernel, dX, accumulate);
        else throw Require.NoSuchDevice("AveragePool.Backward", x.Device);
    }
}
