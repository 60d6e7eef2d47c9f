using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// The low-rank branch of a linear layer, added to what the layer computed: y += scale·(dropout(x)·Aᵀ)·Bᵀ.
/// </summary>
/// <remarks>
/// Source: arXiv:2106.09685. Costs 2·T·R·(K + O) operations. Dropout acts only when a tape is given; its mask is a function of the tape's
/// seed, the addition's id and the element's index, so the backward pass draws it again instead of storing it.
/// </remarks>
public static partial class Lora
{
    /// <summary>Adds the low-rank branch to y.</summary>
    /// <param name="x">[…, K] f32; the outer dimensions count as T rows. Saved for backward: must not be overwritten.</param>
    /// <param name="lora">The matrices; must stay in place until backward.</param>
    /// <param name="y">[…, O] f32 of T rows, read and written. May be the recorded output of an earlier operation.</param>
    /// <param name="arena">For scratch; when a tape records, u = scale·x̃·Aᵀ [T, R] is saved in the tape's arena instead.</param>
    /// <param name="tape">Null in inference.</param>
    /// <exception cref="ShapeException">Sizes or element types do not fit together.</exception>
    public static void Forward(TensorView x, LoraWeights lora, TensorView y, Arena arena, Tape? tape)
    {
        ArgumentNullException.ThrowIfNull(lora);
        ArgumentNullException.ThrowIfNull(arena);
        Check("Lora.Forward", x, lora, y);
        bool record = tape is not null && (lora.IsTrainable || tape.Tracks(x));
        Arena memory = record ? tape!.Arena : arena;
        int rows = x.Shape.Rows, rank = lora.A.Shape.Rows;
        Arena.Mark start = memory.Position;
        TensorView u = memory.Take(new Shape(rows, rank));
        Arena.Mark saved = memory.Position;
        Dropout dropout = tape is null ? default : new Dropout(lora.Dropout, tape.Seed, lora.Id, (long)tape.FirstRow * x.Shape.Columns);
        if (x.Device is CpuDevice cpu) ForwardCpu(cpu, x, lora, y, u, memory, dropout);
        else if (x.Device is CudaDevice cuda) ForwardCuda(cuda, x, lora, y, u, memory, dropout);
        else throw Require.NoSuchDevice("Lora.Forward", x.Device);
        memory.Rewind(record ? saved : start);
        if (record) tape!.Record("lora", y, () => Backward(x, lora, y, u, dropout, tape));
    }

    // With u = s·x̃·Aᵀ [T, R], x̃ = m⊙x and g = s·dY·B [T, R]:  dB += dYᵀ·u,  dA += gᵀ·x̃,  dX += m⊙(g·A).
    // y is y before plus the branch, so dY goes on unchanged to whatever made y before.
    private static void Backward(TensorView x, LoraWeights lora, TensorView y, TensorView u, Dropout dropout, Tape tape)
    {
        TensorView dY = tape.GradientOf(y);
        bool accumulate = false;
        TensorView dX = tape.Tracks(x) ? tape.GradientFor(x, out accumulate) : default;
        Arena.Mark start = tape.Arena.Position;
        if (x.Device is CpuDevice cpu) BackwardCpu(cpu, x, lora, u, dY, dX, accumulate, tape.Arena, dropout);
        else if (x.Device is CudaDevice cuda) BackwardCuda(cuda, x, lora, u, dY, dX, accumulate, tape.Arena, dropout);
        else throw Require.NoSuchDevice("Lora.Backward", x.Device);
        tape.Arena.Rewind(start);
    }

    internal static void Check(string operation, TensorView x, LoraWeights lora, TensorView y)
    {
        Require.Floats(operation, "x", x);
        Require.Floats(operation, "y", y);
        int inputs = x.Shape.Columns, outputs = y.Shape.Columns;
        Require.That(y.Shape.Rows == x.Shape.Rows, operation, $"y must have {x.Shape.Rows} rows like x {x}, got {y}");
        Require.Floats(operation, "A", lora.A);
        Require.That(lora.A.Shape.Rank == 2 && lora.A.Shape[1] == inputs, operation, $"A must be f32[R, {inputs}] for x {x}, got {lora.A}");
        Require.Shape(operation, "B", lora.B, new Shape(outputs, lora.A.Shape[0]));
        Require.That(lora.GradientA.IsEmpty == lora.GradientB.IsEmpty, operation, $"GradientA {lora.GradientA} and GradientB {lora.GradientB} must be given together");
        if (lora.IsTrainable)
        {
            Require.SameShape(operation, "GradientA", lora.GradientA, lora.A);
            Require.SameShape(operation, "GradientB", lora.GradientB, lora.B);
        }

        Require.That(lora.Dropout is >= 0 and < 1, operation, $"Dropout must be at least 0 and below 1, got {lora.Dropout}");
    }
}
