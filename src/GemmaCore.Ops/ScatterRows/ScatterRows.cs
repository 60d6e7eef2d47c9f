using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>Puts rows in place: y[rows[i]] = source[i]; other rows of y stay (image features over the embeddings of image tokens).</summary>
public static partial class ScatterRows
{
    /// <summary>Overwrites the listed rows of y.</summary>
    /// <param name="source">[P, D] f32. Not needed for backward.</param>
    /// <param name="rows">[P] i32, distinct, each below T. The CPU refuses others; a card, which nobody waits for, passes over rows that are
    /// not there, and which of two equal ones stays is not defined there.</param>
    /// <param name="y">[T, D] f32, in place; or bf16, rounded to nearest, without a tape.</param>
    /// <param name="tape">Null in inference.</param>
    public static void Forward(TensorView source, TensorView rows, TensorView y, Tape? tape)
    {
        const string operation = "ScatterRows.Forward";
        Require.Floats(operation, "source", source);
        Require.That(!y.IsEmpty && (y.DType == DType.F32 || (y.DType == DType.BF16 && tape is null)), operation, $"y must be f32, or bf16 without a tape, got {y}");
        Require.That(source.Shape.Rank == 2 && y.Shape.Rank == 2 && y.Shape[1] == source.Shape[1], operation, $"source must be [P, D] and y [T, D], got {source} and {y}");
        Require.Ints(operation, "rows", rows, source.Shape[0]);
        bool earlier = tape is not null && tape.Tracks(y);
        if (y.Device is CpuDevice cpu) ForwardCpu(cpu, source, rows, y);
        else if (y.Device is CudaDevice cuda) ForwardCuda(cuda, source, rows, y);
        else throw Require.NoSuchDevice(operation, y.Device);
        if (tape is not null && (earlier || tape.Tracks(source))) Record(source, rows, y, earlier, tape);
    }

    private static void Record(TensorView source, TensorView rows, TensorView y, bool earlier, Tape tape)
    {
        bool wanted = tape.Tracks(source);
        tape.Record("scatter_rows", y, () => Backward(source, wanted, rows, y, earlier, tape));
    }

    // dSource[i] = dY[rows[i]]; what stood in those rows before has no influence, so its gradient is zero.
    private static void Backward(TensorView source, bool wanted, TensorView rows, TensorView y, bool earlier, Tape tape)
    {
        TensorView dY = tape.GradientOf(y), dSource = default;
        bool accumulate = false;
        if (wanted) dSource = tape.GradientFor(source, out accumulate);
        if (y.Device is CpuDevice cpu)
        {
            if (wanted) BackwardCpu(cpu, dY, rows, dSource, accumulate);
            if (earlier) ClearRowsCpu(dY, rows);
        }
        else if (y.Device is CudaDevice cuda)
        {
            if (wanted) BackwardCuda(cuda, dY, rows, dSource, accumulate);
            if (earlier) ForwardCuda(cuda, source: default, rows, dY);
        }
        else
        {
            throw Require.NoSuchDevice("ScatterRows.Backward", y.Device);
        }
    }
}
