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
        TensorView g = memory.Take(u.Shape);
        Matmul.NN(cuda, dY, lora.B, g, alpha: lora.Scale);
        if (lora.IsTrainable)
        {
            Matmul.TN(cuda, dY, u, lora.GradientB, accumulate: true);
            Arena.Mark start = memory.Position;
            Matmul.TN(cuda, g, Drop(cuda, x, memory, dropout), lora.GradientA, accumulate: true);
            memory.Rewind(start);
        }

        if (dX.IsEmpty) return;
        if (!dropout.IsActive)
        {
            Matmul.NN(cuda, g, lora.A, dX, accumulate);
            return;
        }

        TensorView branch = memory.Take(x.Shape);
        Matmul.NN(cuda, g, lora.A, branch);
        LaunchDrop(cuda, branch, dX, dropout, accumulate);
    }

    // x̃ = m⊙x in scratch memory, or x itself when nothing is dropped.
    private static TensorView Drop(CudaDevice cuda, TensorView x, Arena memory, Dropout dropout)
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
