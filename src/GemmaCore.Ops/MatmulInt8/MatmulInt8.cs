using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Product of activations and a frozen matrix of 8-bit rows, y = x·wᵀ + b: weights are dequantised in fp32 (code · magnitude / 127) where they are used, then
/// the arithmetic is that of <see cref="Matmul"/>. Activations are not rounded.
/// </summary>
/// <remarks>Costs 2·T·O·K operations; moves one byte for every weight.</remarks>
public static partial class MatmulInt8
{
    /// <summary>Multiplies by a matrix stored [out, in].</summary>
    /// <param name="x">[…, K] f32; the outer dimensions count as T rows. Not needed for backward.</param>
    /// <param name="w">[O, K].</param>
    /// <param name="bias">[O] f32, or default for none.</param>
    /// <param name="y">[…, O] f32 of T rows; overwritten; must not overlap x.</param>
    /// <param name="tape">Null in inference.</param>
    /// <exception cref="ShapeException">Sizes or element types do not fit together.</exception>
    public static void Forward(TensorView x, Int8Matrix w, TensorView bias, TensorView y, Tape? tape)
    {
        const string operation = "MatmulInt8.Forward";
        ArgumentNullException.ThrowIfNull(w);
        Require.Product(operation, x, w.Shape, bias, y);
        if (x.Device is CpuDevice cpu) ForwardCpu(cpu, x, w, bias, y);
        else if (x.Device is CudaDevice cuda) ForwardCuda(cuda, x, w, bias, y);
        else throw Require.NoSuchDevice(operation, x.Device);
        if (tape is not null && tape.Tracks(x)) Record(x, w, y, tape);
    }

    /// <summary>Multiplies by a matrix stored [in, out]: y = x·w. Nothing is recorded.</summary>
    /// <param name="x">[…, O] f32; the outer dimensions count as T rows.</param>
    /// <param name="w">[O, K].</param>
    /// <param name="y">[…, K] f32 of T rows; overwritten; must not overlap x.</param>
    /// <exception cref="ShapeException">Sizes or element types do not fit together.</exception>
    public static void ForwardInOut(TensorView x, Int8Matrix w, TensorView y)
    {
        const string operation = "MatmulInt8.ForwardInOut";
        ArgumentNullException.ThrowIfNull(w);
        Require.Floats(operation, "x", x);
        Require.That(w.Shape[0] == x.Shape.Columns, operation, $"w must be [{x.Shape.Columns}, O] for x {x}, got {w}");
        Require.Rows(operation, y, x.Shape.Rows, w.Shape[1]);
        if (x.Device is CpuDevice cpu) BackwardCpu(cpu, x, w, y, accumulate: false);
        else if (x.Device is CudaDevice cuda) BackwardCuda(cuda, x, w, y, accumulate: false);
        else throw Require.NoSuchDevice(operation, x.Device);
    }

    // Apart from Forward: a lambda there would allocate its closure in inference too.
    private static void Record(TensorView x, Int8Matrix w, TensorView y, Tape tape) => tape.Record("matmul_int8", y, () => Backward(x, w, y, tape));

    // dX = dY·W
    private static void Backward(TensorView x, Int8Matrix w, TensorView y, Tape tape)
    {
        TensorView dY = tape.GradientOf(y);
        TensorView dX = tape.GradientFor(x, out bool accumulate);
        if (x.Device is CpuDevice cpu) BackwardCpu(cpu, dY, w, dX, accumulate);
        else if (x.Device is CudaDevice cuda) BackwardCuda(cuda, dY, w, dX, accumulate);
        else throw Require.NoSuchDevice("MatmulInt8.Backward", x.Device);
    }
}
