using System.Numerics;
using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class TopK
{
    // As in the kernel: a block keeps this many keys in shared memory. Twice MaxCount at least, or a round would not shrink anything.
    private const int Segment = 2048;
    private const int Threads = 256;

    private static readonly CudaKernel ForwardKernel = new("top_k.cu", "top_k_forward");
    private static readonly CudaKernel MergeKernel = new("top_k.cu", "top_k_merge");

    /// <summary>Blocks of one round of the tournament over <paramref name="candidates"/> keys in a row; one block means the last round.</summary>
    internal static int Segments(int candidates) => (candidates + Segment - 1) / Segment;

    private static void ForwardCuda(CudaDevice cuda, TensorView logits, TensorView ids, TensorView values, TensorView logprobs)
    {
        Arena.Mark mark = cuda.Scratch.Position;
        int rows = logits.Shape[0], k = ids.Shape[1], run = (int)BitOperations.RoundUpToPowerOf2((uint)k);
        TensorView total = default; // [R], ln Σ exp
        if (!logprobs.IsEmpty)
        {
            total = cuda.Scratch.Take(new Shape(rows));
            LinearCrossEntropy.LogSumExpCuda(cuda, logits, total);
        }

        CudaKernel kernel = ForwardKernel;
        TensorView from = logits;
        for (int candidates = logits.Shape[1]; ; kernel = MergeKernel)
        {
            int segments = Segments(candidates);
            // [R, segments·k] keys of 64 bits; the last round writes the results instead.
            TensorView best = segments > 1 ? cuda.Scratch.Take(new Shape(rows, segments * k), DType.I64) : default;
            cuda.Launch(kernel, new LaunchGrid(segments, Threads, y: rows), from, best, ids, values, logprobs, total, candidates, k, run);
            if (segments == 1) break;
            (from, candidates) = (best, segments * k);
        }

        cuda.Scratch.Rewind(mark);
    }
}
