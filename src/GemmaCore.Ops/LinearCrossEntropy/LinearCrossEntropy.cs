using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// The language-model loss with its output layer: Σ −log softmax(head·h)[target] over the supervised rows. Logits exist for one chunk of
/// rows at a time, and their gradient is multiplied back at once, so neither is ever kept for the whole batch.
/// </summary>
/// <remarks>Source: arXiv:2410.10989 (loss and gradient in one pass over chunks), arXiv:2411.09009. The head is frozen.</remarks>
public static partial class LinearCrossEntropy
{
    /// <summary>The summed loss in nats. With a tape, the gradient of gradientScale · loss reaches <paramref name="hidden"/> by Tape.Backward.</summary>
    /// <param name="hidden">[T, D] f32, after the last norm.</param>
    /// <param name="head">[V, D].</param>
    /// <param name="rows">Supervised rows of <paramref name="hidden"/>, each once; the others get no gradient.</param>
    /// <param name="targets">Token each of these rows should predict.</param>
    /// <param name="gradientScale">dLoss, for example one over the number of supervised tokens in the step.</param>
    /// <param name="arena">Scratch; what the backward pass needs stays in it.</param>
    /// <param name="tape">Null for evaluation.</param>
    /// <param name="rowsPerChunk">Rows whose logits exist together; 0, or more than is sensible on the device: see <see cref="RowsPerChunk"/>.</param>
    /// <exception cref="ShapeException">Views do not fit together, or a row or target is out of range.</exception>
    public static double Forward(
        TensorView hidden, WeightMatrix head, ReadOnlySpan<int> rows, ReadOnlySpan<int> targets, double gradientScale, Arena arena, Tape? tape,
        int rowsPerChunk = 0)
    {
        ArgumentNullException.ThrowIfNull(head);
        ArgumentNullException.ThrowIfNull(arena);
        ArgumentOutOfRangeException.ThrowIfNegative(rowsPerChunk);
        RequireOperands(hidden, head, rows, targets);
        if (rows.Length == 0) return 0;
        bool recorded = tape is not null && tape.Tracks(hidden);
        Arena.Mark mark = arena.Position;
        TensorView rowList = arena.TakeInts(rows); // [R]
        TensorView gradient = recorded ? arena.Take(new Shape(rows.Length, head.Shape[1])) : default; // [R, D]: dHidden of the supervised rows
        TensorView loss = recorded ? arena.Take(new Shape(1)) : default;
        if (recorded) mark = arena.Position;
        int most = RowsPerChunk(hidden.Device);
        double total = Chunks(hidden, head, rowList, targets, gradientScale, arena, gradient, rowsPerChunk == 0 ? most : Math.Min(rowsPerChunk, most));
        arena.Rewind(mark);
        if (recorded) Record(hidden, gradient, loss, rowList, total, tape!);
        return total;
    }

    /// <summary>Rows whose logits exist together where nothing else is asked for.</summary>
    public static int RowsPerChunk(Device device) => device is CudaDevice cuda ? RowsPerChunkCuda(cuda.MultiprocessorCount) : RowsPerChunkCpu;

    private static double Chunks(
        TensorView hidden, WeightMatrix head, TensorView rows, ReadOnlySpan<int> targets, double gradientScale, Arena arena, TensorView gradient,
        int rowsPerChunk)
    {
        var cuda = hidden.Device as CudaDevice;
        TensorView targetIds = cuda is null ? default : arena.TakeInts(targets), losses = cuda is null ? default : arena.Take(new Shape(targets.Length)); // [R]
        double total = 0;
        for (int first = 0; first < targets.Length; first += rowsPerChunk)
        {
            int count = Math.Min(rowsPerChunk, targets.Length - first);
            Arena.Mark mark = arena.Position;
            TensorView gathered = arena.Take(new Shape(count, hidden.Shape[1])), logits = arena.Take(new Shape(count, head.Shape[0]));
            GatherRows.Forward(hidden, rows.Slice(first, count), gathered, null);
            head.Multiply(gathered, default, logits, null);
            if (hidden.Device is CpuDevice cpu) total += LossRowsCpu(cpu, logits, targets.Slice(first, count), gradientScale, !gradient.IsEmpty);
            else if (cuda is not null) LossRowsCuda(cuda, logits, targetIds.Slice(first, count), losses.Slice(first, count), gradientScale, !gradient.IsEmpty);
            else throw Require.NoSuchDevice("LinearCrossEntropy.Forward", hidden.Device);
            // The logits are their own gradient now: dHidden = dLogits·head.
            if (!gradient.IsEmpty) head.MultiplyInOut(logits, gradient.Slice(first, count));
            arena.Rewind(mark);
        }

        // The card is asked once, after everything has been queued.
        return cuda is null ? total : SumOfLosses(losses);
    }

    // The loss is the tape's scalar output; as nothing follows it, its gradient is seeded here.
    private static void Record(TensorView hidden, TensorView gradient, TensorView loss, TensorView rows, double total, Tape tape)
    {
        loss.CopyFrom([(float)total]);
        tape.Record("linear_cross_entropy", loss, () => Backward(hidden, gradient, loss, rows, tape));
        tape.GradientFor(loss, out _).CopyFrom([1]);
    }

    // dHidden[rows[i]] += dLoss·gradient[i]
    private static void Backward(TensorView hidden, TensorView gradient, TensorView loss, TensorView rows, Tape tape)
    {
        TensorView dLoss = tape.GradientOf(loss);
        TensorView dHidden = tape.GradientFor(hidden, out bool accumulate);
        if (!accumulate) hidden.Device.Clear(dHidden);
        if (hidden.Device is CpuDevice cpu) BackwardCpu(cpu, gradient, dLoss, rows, dHidden);
        else if (hidden.Device is CudaDevice cuda) BackwardCuda(cuda, gradient, dLoss, rows, dHidden);
        else throw Require.NoSuchDevice("LinearCrossEntropy.Backward", hidden.Device);
    }

    private static void RequireOperands(TensorView hidden, WeightMatrix head, ReadOnlySpan<int> rows, ReadOnlySpan<int> targets)
    {
        const string operation = "LinearCrossEntropy.Forward";
        Require.Floats(operation, "hidden", hidden);
        Require.That(hidden.Shape.Rank == 2, operation, $"hidden must be [T, D], got {hidden}");
        Require.That(head.Shape.Rank == 2 && head.Shape[1] == hidden.Shape[1], operation, $"head must be [V, {hidden.Shape[1]}], got {head}");
        Require.That(rows.Length == targets.Length, operation, $"{rows.Length} rows have {targets.Length} targets");
        for (int i = 0; i < rows.Length; i++)
        {
            Require.That((uint)rows[i] < (uint)hidden.Shape[0], operation, $"row {rows[i]} is not within {hidden}");
            Require.That((uint)targets[i] < (uint)head.Shape[0], operation, $"target {targets[i]} of row {rows[i]} is not within the {head.Shape[0]} tokens of the head");
        }
    }
}
