using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Product of activations and a frozen weight matrix, y = x·wᵀ + b: fp32 arithmetic, weights widened from bf16 or f16 as they are read. On cards
/// with tensor cores both are rounded to bf16 or scaled fp16 first and sums are fp32, except for up to eight rows of x.
/// </summary>
/// <remarks>
/// Costs 2·T·O·K operations; moves the weight once. On the CPU weights may lie anywhere in mapped memory, aligned or not. Sums over K run in an order
/// fixed by the shape alone, so results do not depend on the number of threads. The weights are frozen: only dX is computed.
/// </remarks>
public static unsafe partial class Matmul
{
    /// <summary>Multiplies by a matrix stored [out, in]: y = x·wᵀ + b.</summary>
    /// <param name="x">[…, K] f32; the outer dimensions count as T rows. Not needed for backward.</param>
    /// <param name="w">[O, K] f32, bf16 or f16.</param>
    /// <param name="bias">[O] f32, or default for none.</param>
    /// <param name="y">[…, O] f32 of T rows; overwritten; must not overlap x.</param>
    /// <param name="tape">Null in inference.</param>
    /// <exception cref="ShapeException">Sizes or element types do not fit together.</exception>
    public static void Forward(TensorView x, TensorView w, TensorView bias, TensorView y, Tape? tape)
    {
        const string operation = "Matmul.Forward";
        Check(operation, x, w, bias, y);
        int rows = x.Shape.Rows, inputs = x.Shape.Columns, outputs = w.Shape[0];
        if (x.Device is CpuDevice cpu)
            Gemm.NT(cpu.Workers, x.Floats, (void*)w.Pointer, w.DType, y.Floats, rows, outputs, inputs, false, bias.IsEmpty ? null : bias.Floats);
        else if (x.Device is CudaDevice cuda) NT(cuda, x, w, y, bias);
        else throw Require.NoSuchDevice(operation, x.Device);
        if (tape is not null && tape.Tracks(x)) Record(x, w, y, tape);
    }

    // Apart from Forward: a lambda there would allocate its closure in inference too.
    private static void Record(TensorView x, TensorView w, TensorView y, Tape tape) => tape.Record("matmul", y, () => Backward(x, w, y, tape));

    // dX = dY·W
    private static void Backward(TensorView x, TensorView w, TensorView y, Tape tape)
    {
        TensorView dY = tape.GradientOf(y);
        TensorView dX = tape.GradientFor(x, out bool accumulate);
        if (x.Device is CpuDevice cpu)
            Gemm.NN(cpu.Workers, dY.Floats, (void*)w.Pointer, w.DType, dX.Floats, x.Shape.Rows, w.Shape[0], w.Shape[1], accumulate);
        else if (x.Device is CudaDevice cuda) NN(cuda, dY, w, dX, accumulate);
        else throw Require.NoSuchDevice("Matmul.Backward", x.Device);
    }

    /// <summary>Multiplies by a matrix stored [in, out]: y = x·w.</summary>
    /// <param name="x">[…, K] f32; the outer dimensions count as T rows. Not needed for backward.</param>
    /// <param name="w">[K, O] f32, bf16 or f16.</param>
    /// <param name="y">[…, O] f32 of T rows; overwritten; must not overlap x.</param>
    /// <param name="tape">Null in inference.</param>
    /// <exception cref="ShapeException">Sizes or element types do not fit together.</exception>
    public static void ForwardInOut(TensorView x, TensorView w, TensorView y, Tape? tape)
    {
        const string operation = "Matmul.ForwardInOut";
        Require.Floats(operation, "x", x);
        int rows = x.Shape.Rows, inputs = x.Shape.Columns;
        Require.That(IsMatrix(w) && w.Shape[0] == inputs, operation, $"w must be a float matrix [{inputs}, O] for x {x}, got {w}");
        int outputs = w.Shape[1];
        Require.Rows(operation, y, rows, outputs);
        if (x.Device is CpuDevice cpu)
            Gemm.NN(cpu.Workers, x.Floats, (void*)w.Pointer, w.DType, y.Floats, rows, inputs, outputs, false);
        else if (x.Device is CudaDevice cuda) NN(cuda, x, w, y);
        else throw Require.NoSuchDevice(operation, x.Device);
        if (tape is not null && tape.Tracks(x)) RecordInOut(x, w, y, tape);
    }

    private static void RecordInOut(TensorView x, TensorView w, TensorView y, Tape tape) =>
        tape.Record("matmul_in_out", y, () => BackwardInOut(x, w, y, tape));

    // dX = dY·Wᵀ
    private static void BackwardInOut(TensorView x, TensorView w, TensorView y, Tape tape)
    {
        TensorView dY = tape.GradientOf(y);
        TensorView dX = tape.GradientFor(x, out bool accumulate);
        if (x.Device is CpuDevice cpu)
            Gemm.NT(cpu.Workers, dY.Floats, (void*)w.Pointer, w.DType, dX.Floats, x.Shape.Rows, w.Shape[0], w.Shape[1], accumulate);
        else if (x.Device is CudaDevice cuda) NT(cuda, dY, w, dX, accumulate: accumulate);
        else throw Require.NoSuchDevice("Matmul.BackwardInOut", x.Device);
    }

    internal static void Check(string operation, TensorView x, TensorView w, TensorView bias, TensorView y)
    {
        Require.Floats(operation, "x", x);
        Require.That(IsMatrix(w) && w.Shape[1] == x.Shape.Columns, operation, $"w must be a float matrix [O, {x.Shape.Columns}] for x {x}, got {w}");
        Require.Product(operation, x, w.Shape, bias, y);
    }

    private static bool IsMatrix(TensorView w) => !w.IsEmpty && w.DType.IsFloat() && w.Shape.Rank == 2;
}
