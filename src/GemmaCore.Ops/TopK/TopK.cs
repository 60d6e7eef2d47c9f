using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>The k largest logits of every row with their ids, so that a sampler need not see the whole row. Greedy choice is k = 1.</summary>
public static partial class TopK
{
    /// <summary>Largest k.</summary>
    public const int MaxCount = 512;

    /// <summary>Finds them: largest first, the lower id first among equals. A row that holds a NaN or an infinity has ids −1 and NaN elsewhere.</summary>
    /// <param name="logits">[R, V] f32.</param>
    /// <param name="ids">[R, k] i32; its k is the k, at most V and <see cref="MaxCount"/>.</param>
    /// <param name="values">[R, k] f32, the logits themselves; default for none.</param>
    /// <param name="logprobs">[R, k] f32, ln softmax over the whole row; default for none, which saves reading the row again.</param>
    /// <exception cref="ShapeException">Views do not fit together, or k is out of range.</exception>
    public static void Forward(TensorView logits, TensorView ids, TensorView values, TensorView logprobs)
    {
        const string operation = "TopK.Forward";
        Require.Floats(operation, "logits", logits);
        Require.That(logits.Shape.Rank == 2 && ids.Shape.Rank == 2, operation, $"logits must be [R, V] and ids [R, k], got {logits} and {ids}");
        int rows = logits.Shape[0], k = ids.Shape[1];
        Require.Ints(operation, "ids", ids, checked(rows * k));
        Require.That(
            k >= 1 && k <= Math.Min(MaxCount, logits.Shape[1]), operation,
            $"k must be from 1 to {Math.Min(MaxCount, logits.Shape[1])} for {logits}, got {k}");
        if (!values.IsEmpty) Require.Shape(operation, "values", values, ids.Shape);
        if (!logprobs.IsEmpty) Require.Shape(operation, "logprobs", logprobs, ids.Shape);
        if (rows == 0) return;
        if (logits.Device is CpuDevice cpu) ForwardCpu(cpu, logits, ids, values, logprobs);
        else if (logits.Device is CudaDevice cuda) ForwardCuda(cuda, logits, ids, values, logprobs);
        else throw Require.NoSuchDevice(operation, logits.Device);
    }
}
