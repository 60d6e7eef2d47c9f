using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// A linear layer with one low-rank branch, y = x·wᵀ + b + scale·(dropout(x)·Aᵀ)·Bᵀ: <see cref="Matmul"/> and <see cref="Lora"/> in one, so that a
/// card sums both products in the same accumulators (the depth K is extended by the rank R).
/// </summary>
/// <remarks>Source: arXiv:2106.09685; kernels.md §1.9. On the CPU it is the two operations one after the other.</remarks>
public static partial class MatmulLora
{
    /// <summary>Computes y; the arguments are those of the two operations.</summary>
    /// <param name="x">[…, K] f32 of T rows. Saved for backward when the adapter is trained: must not be overwritten.</param>
    /// <param name="w">[O, K] f32, bf16 or f16; frozen.</param>
    /// <param name="bias">[O] f32, or default for none.</param>
    /// <param name="lora">The branch; must stay in place until backward.</param>
    /// <param name="y">[…, O] f32 of T rows; overwritten; must not overlap x.</param>
    /// <param name="arena">For scratch; when a tape records, u = scale·x̃·Aᵀ [T, R] is saved in the tape's arena instead.</param>
    /// <param name="tape">Null in inference.</param>
    /// <exception cref="ShapeException">Sizes or element types do not fit together.</exception>
    public static void Forward(TensorView x, TensorView w, TensorView bias, LoraWeights lora, TensorView y, Arena arena, Tape? tape)
    {
        const string operation = "MatmulLora.Forward";
        ArgumentNullException.ThrowIfNull(lora);
        ArgumentNullException.ThrowIfNull(arena);
        Matmul.Check(operation, x, w, bias, y);
        Lora.Check(operation, x, lora, y);
        if (x.Device is CpuDevice)
        {
            Matmul.Forward(x, w, bias, y, tape);
            Lora.Forward(x, lora, y, arena, tape);
            return;
        }

        if (x.Device is not CudaDevice cuda) throw Require.NoSuchDevice(operation, x.Device);
        bool record = tape is not null && (lora.IsTrainable || tape.Tracks(x));
        Arena memory = record ? tape!.Arena : arena;
        Arena.Mark start = memory.Position;
        TensorView u = memory.Take(new Shape(x.Shape.Rows, lora.A.Shape.Rows));
        Arena.Mark saved = memory.Position;
        Dropout dropout = tape is null ? default : new Dropout(lora.Dropout, tape.Seed, lora.Id, (long)tape.FirstRow * x.Shape.Columns);
        ForwardCuda(cuda, x, w, bias, lora, y, u, memory, dropout);
        memory.Rewind(record ? saved : start);
        if (record) Record(cuda, x, w, lora, y, u, dropout, tape!);
    }

    // Apart from Forward: a lambda there would allocate its closure in inference too.
    private static void Record(CudaDevice cuda, TensorView x, TensorView w, LoraWeights lora, TensorView y, TensorView u, Dropout dropout, Tape tape) =>
        tape.Record("matmul_lora", y, () => Backward(cuda, x, w, lora, y, u, dropout, tape));

    // With u = s·x̃·Aᵀ [T, R], x̃ = m⊙x and g = s·dY·B [T, R]:  dB += dYᵀ·u,  dA += gᵀ·x̃,  dX = dY·W + m⊙(g·A).
    private static void Backward(CudaDevice cuda, TensorView x, TensorView w, LoraWeights lora, TensorView y, TensorView u, Dropout dropout, Tape tape)
    {
        TensorView dY = tape.GradientOf(y);
        bool accumulate = false;
        TensorView dX = tape.Tracks(x) ? tape.GradientFor(x, out accumulate) : default;
        Arena.Mark start = tape.Arena.Position;
        BackwardCuda(cuda, x, w, lora, u, dY, dX, accumulate, tape.Arena, dropout);
        tape.Arena.Rewind(start);
    }
}
