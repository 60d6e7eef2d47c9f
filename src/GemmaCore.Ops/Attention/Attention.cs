using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Scaled dot-product attention with grouped queries: y = softmax(scale · q·kᵀ)·v, each row over its own interval of key slots.
/// Query head j reads key head j / (N / K).
/// </summary>
/// <remarks>
/// Every mask Gemma needs is one interval per row: causal, sliding window, two-way inside a picture, packed documents. No score matrix
/// is kept: the forward pass runs a softmax over blocks of keys and saves its logarithm; the backward pass computes the probabilities
/// again. Source: arXiv:2205.14135, arXiv:2307.08691.
/// </remarks>
public static partial class Attention
{
    /// <summary>Attends over the current rows and what the sequences keep of the past.</summary>
    /// <param name="q">[T, N, H] f32. Saved for backward, as are k, v, y and lse: must not be overwritten.</param>
    /// <param name="k">[T, K, H] f32; K divides N.</param>
    /// <param name="v">[T, K, H] f32.</param>
    /// <param name="sequences">The sequences of the batch; their rows follow one another and cover all T.</param>
    /// <param name="keyStart">[T] i32: first slot a row sees, in slots of its own sequence.</param>
    /// <param name="keyEnd">[T] i32: the slot after the last one it sees. A row with an empty interval gives zeros.</param>
    /// <param name="scale">Factor on q·k.</param>
    /// <param name="y">[T, N, H]; must not overlap q.</param>
    /// <param name="lse">[T, N]: receives the logarithm of each row's softmax sum (−∞ for an empty interval); may be default without a tape.</param>
    /// <param name="tape">Null in inference; with a tape no sequence may have a past.</param>
    /// <exception cref="ShapeException">Views, sequences or intervals do not fit together.</exception>
    public static void Forward(
        TensorView q, TensorView k, TensorView v, AttentionSequence[] sequences, TensorView keyStart, TensorView keyEnd, float scale,
        TensorView y, TensorView lse, Tape? tape)
    {
        ArgumentNullException.ThrowIfNull(sequences);
        RequireViews(q, k, v, keyStart, keyEnd, y, lse, tape);
        RequireSequences(k, sequences, tape);
        var inputs = new AttentionInputs(q, k, v, sequences, keyStart, keyEnd, scale);
        if (q.Device is CpuDevice cpu) ForwardCpu(cpu, inputs, y, lse);
        else if (q.Device is CudaDevice cuda) ForwardCuda(cuda, inputs, y, lse, isRecorded: tape is not null);
        else throw Require.NoSuchDevice("Attention.Forward", q.Device);
        if (tape is not null && (tape.Tracks(q) || tape.Tracks(k) || tape.Tracks(v)))
            Record(inputs with { Sequences = [.. sequences] }, y, lse, tape);
    }

    // Apart from Forward, so that only a recorded call pays for the closure.
    private static void Record(AttentionInputs inputs, TensorView y, TensorView lse, Tape tape) =>
        tape.Record("attention", y, () => Backward(inputs, y, lse, tape));

    // With P = exp(scale·q·kᵀ − lse) and D = Σ dY⊙y per row:  dV = Pᵀ·dY,  dS = scale · P ⊙ (dY·vᵀ − D),  dQ = dS·k,  dK = dSᵀ·q.
    private static void Backward(in AttentionInputs inputs, TensorView y, TensorView lse, Tape tape)
    {
        var outputs = new AttentionOutputs(
            tape.GradientOf(y), y, lse, AttentionGradient.For(inputs.Q, tape), AttentionGradient.For(inputs.K, tape), AttentionGradient.For(inputs.V, tape));
        if (y.Device is CpuDevice cpu) BackwardCpu(cpu, inputs, outputs, tape.Arena);
        else if (y.Device is CudaDevice cuda) BackwardCuda(cuda, inputs, outputs);
        else throw Require.NoSuchDevice("Attention.Backward", y.Device);
    }

    private static void RequireViews(
        TensorView q, TensorView k, TensorView v, TensorView keyStart, TensorView keyEnd, TensorView y, TensorView lse, Tape? tape)
    {
        const string operation = "Attention.Forward";
        Require.Floats(operation, "q", q);
        Require.Floats(operation, "k", k);
        Require.That(q.Shape.Rank == 3, operation, $"q must be [T, N, H], got {q}");
        Require.That(
            k.Shape.Rank == 3 && k.Shape[0] == q.Shape[0] && k.Shape[2] == q.Shape[2] && k.Shape[1] > 0 && q.Shape[1] % k.Shape[1] == 0,
            operation, $"k must be [{q.Shape[0]}, K, {q.Shape[2]}] with K a divisor of {q.Shape[1]}, got {k}");
        Require.SameShape(operation, "v", v, k);
        Require.Ints(operation, "keyStart", keyStart, q.Shape[0]);
        Require.Ints(operation, "keyEnd", keyEnd, q.Shape[0]);
        Require.SameShape(operation, "y", y, q);
        if (tape is not null || !lse.IsEmpty) Require.Shape(operation, "lse", lse, new Shape(q.Shape[0], q.Shape[1]));
        RequireDevice("k", k, q);
        RequireDevice("v", v, q);
        RequireDevice("keyStart", keyStart, q);
        RequireDevice("keyEnd", keyEnd, q);
        RequireDevice("y", y, q);
        if (!lse.IsEmpty) RequireDevice("lse", lse, q);
    }

    // A card would read an address of another device as one of its own.
    private static bool AreTogether(TensorView a, TensorView b) => a.Device == b.Device || (a.Device is CpuDevice && b.Device is CpuDevice);

    private static void RequireDevice(string name, TensorView view, TensorView q) =>
        Require.That(AreTogether(view, q), "Attention.Forward", $"{name} must be on the device of {q}, got {view}");

    private static bool IsFloats(TensorView view) => !view.IsEmpty && view.DType == DType.F32;

    private static void RequireSequences(TensorView k, AttentionSequence[] sequences, Tape? tape)
    {
        const string operation = "Attention.Forward";
        int row = 0;
        DType? past = null;
        for (int i = 0; i < sequences.Length; i++)
        {
            ref readonly AttentionSequence sequence = ref sequences[i];
            Require.That(
                sequence.FirstRow == row && sequence.RowCount >= 0 && sequence.RowCount <= k.Shape[0] - row, operation,
                $"sequence {i} must begin at row {row} and end by row {k.Shape[0]}, got {sequence.RowCount} rows from {sequence.FirstRow}");
            row += sequence.RowCount;
            Require.That(sequence.PastStart >= 0 && sequence.PastCount >= 0, operation,
                $"sequence {i}: its past must not be negative, got {sequence.PastCount} slots from {sequence.PastStart}");
            if (sequence.PastCount == 0) continue;
            Require.That(tape is null, operation, $"sequence {i} has {sequence.PastCount} past slots, which no gradient can reach; pass no tape");
            // Not Require.Floats: the name would be a string built on every call.
            Require.That(
                !sequence.PastKeys.IsEmpty && sequence.PastKeys.DType is DType.F32 or DType.BF16, operation, $"past keys of sequence {i} must be f32 or bf16, got {sequence.PastKeys}");
            past ??= sequence.PastKeys.DType;
            Require.That(sequence.PastKeys.DType == past, operation, $"past keys of sequence {i} must be {past} as those of the sequences before, got {sequence.PastKeys}");
            Shape ring = sequence.PastKeys.Shape;
            int most = sequence.Pages.IsEmpty ? sequence.PastCount : 1;
            Require.That(
                ring.Rank == 3 && ring[0] >= most && ring[1] == k.Shape[1] && ring[2] == k.Shape[2], operation,
                $"past keys of sequence {i} must be [≥ {most}, {k.Shape[1]}, {k.Shape[2]}], got {sequence.PastKeys}");
            Require.That(
                !sequence.PastValues.IsEmpty && sequence.PastValues.DType == past && sequence.PastValues.Shape == ring, operation,
                $"past values of sequence {i} must be like {sequence.PastKeys}, got {sequence.PastValues}");
            Require.That(
                sequence.Pages.IsEmpty || (sequence.Pages.DType == DType.I32 && sequence.Capacity >= sequence.PastCount), operation,
                $"pages of sequence {i} must be i32 and hold {sequence.PastCount} slots of {AttentionSequence.PageRows} a page, got {sequence.Pages}");
            Require.That(
                AreTogether(sequence.PastKeys, k) && AreTogether(sequence.PastValues, k) && (sequence.Pages.IsEmpty || AreTogether(sequence.Pages, k)),
                operation, $"the past of sequence {i} must be on the device of {k}, got {sequence.PastKeys} and {sequence.PastValues}");
        }

        Require.That(row == k.Shape[0], operation, $"the sequences must cover all {k.Shape[0]} rows, they end at row {row}");
    }
}
