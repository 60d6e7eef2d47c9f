using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class Lora
{
    private static readonly CudaKernel DropKernel = new("lora.cu", "lora_drop");

    private static void ForwardCuda(CudaDevice cuda, TensorView x, LoraWeights lora, TensorView y, TensorView u, Arena memory, Dropout dropout)
    {
        Matmul.NT(cuda, Drop(cuda, x, memory, dropout), lora.A, u, alpha: lora.Scale);
        Matmul.NT(cuda, u, lora.B, y, accumulate: true);
    }

    private static void BackwardCuda(
        CudaDevice cuda, TensorView x, LoraWeights lora, TensorView u, TensorView dY, TensorView dX, bool accumulate, Arena memory, Dropout dropout)
    {
        TensorView g = BackwardToRank(cuda, x, lora, u, dY, memory, dropout, default);
        if (dX.IsEmpty) return;
        if (dropout.IsActive) AddDropped(cuda, g, lora, dX, accumulate, memory, dropout);
        else Matmul.NN(cuda, g, lora.A, dX, accumulate);
    }

    /// <summary>g = s·dY·B [T, R] in <paramref name="memory"/>; adds to the gradients of A and B when they are wanted.</summary>
    internal static TensorView BackwardToRank(
        CudaDevice cuda, TensorView x, LoraWeights lora, TensorView u, TensorView dY, Arena memory, Dropout dropout, PackedMatrix packedDY)
    {
        TensorView g = memory.Take(u.Shape);
        Matmul.NN(cuda, dY, lora.B, g, alpha: lora.Scale, packed: packedDY);
        if (!lora.IsTrainable) return g;
        Matmul.TN(cuda, dY, u, lora.GradientB, accumulate: true);
        Arena.Mark start = memory.Position;
        Matmul.TN(cuda, g, Drop(cuda, x, memory, dropout), lora.GradientA, accumulate: true);
        memory.Rewind(start);
        return g;
    }

    /// <summary>dX = (or +=) m⊙(g·A).</summary>
    internal static void AddDropped(CudaDevice cuda, TensorView g, LoraWeights lora, TensorView dX, bool accumulate, Arena memory, Dropout dropout)
    {
        Arena.Mark start = memory.Position;
        TensorView branch = memory.Take(dX.Shape);
        Matmul.NN(cuda, g, lora.A, branch);
        LaunchDrop(cuda, branch, dX, dropout, accumulate);
        memory.Rewind(start);
    }

    /// <summary>x̃ = m⊙x in <paramref name="memory"/>, or x itself when nothing is dropped.</summary>
    internal static TensorView Drop(CudaDevice cuda, TensorView x, Arena memory, Dropout dropout)
    {
        if (!dropout.IsActive) return x;
        TensorView kept = memory.Take(x.Shape);
        LaunchDrop(cuda, x, kept, dropout, accumulate: false);
        return kept;
    }

    private static void LaunchDrop(CudaDevice cuda, TensorView source, TensorView target, Dropout dropout, bool accumulate)
    {
        long count = source.Shape.ElementCount;
        if (count == 0) return;
        (int key0, int key1, int threshold) = dropout.Bits;
        cuda.Launch(
            DropKernel, LaunchGrid.Over((count + 3) / 4, 256), source, target, count, key0, key1, threshold, dropout.KeptScale, accumulate);
    }
}
