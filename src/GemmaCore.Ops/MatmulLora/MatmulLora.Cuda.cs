using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class MatmulLora
{
    private static void ForwardCuda(
        CudaDevice cuda, TensorView x, TensorView w, TensorView bias, LoraWeights lora, TensorView y, TensorView u, Arena memory, Dropout dropout)
    {
        Arena.Mark start = cuda.Scratch.Position;
        PackedMatrix packed = Matmul.Pack(cuda, MatmulLayout.NT, x);
        // What is dropped reaches the branch alone.
        if (dropout.IsActive) Matmul.NT(cuda, Lora.Drop(cuda, x, memory, dropout), lora.A, u, alpha: lora.Scale);
        else Matmul.NT(cuda, x, lora.A, u, alpha: lora.Scale, packed: packed);
        Matmul.NT(cuda, x, w, y, bias, a2: u, b2: lora.B, packed: packed);
        cuda.Scratch.Rewind(start);
    }

    private static void BackwardCuda(
        CudaDevice cuda, TensorView x, TensorView w, LoraWeights lora, TensorView u, TensorView dY, TensorView dX, bool accumulate, Arena memory,
        Dropout dropout)
    {
        Arena.Mark start = cuda.Scratch.Position;
        PackedMatrix packed = Matmul.Pack(cuda, MatmulLayout.NN, dY);
        TensorView g = Lora.BackwardToRank(cuda, x, lora, u, dY, memory, dropout, packed);
        if (dX.IsEmpty)
        {
            // The layer's input wants no gradient.
        }
        else if (dropout.IsActive)
        {
            Matmul.NN(cuda, dY, w, dX, accumulate, packed: packed);
            Lora.AddDropped(cuda, g, lora, dX, accumulate: true, memory, dropout);
        }
        else Matmul.NN(cuda, dY, w, dX, accumulate, a2: g, b2: lora.A, packed: packed);

        cuda.Scratch.Rewind(start);
    }
}
