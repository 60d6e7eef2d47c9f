using System.Buffers;
using System.Numerics;
using System.Runtime.InteropServices;
using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class LinearCrossEntropy
{
    private const int BackwardThreads = 256;

    private static readonly CudaKernel ForwardKernel = new("linear_cross_entropy.cu", "linear_cross_entropy_forward", "-DTHREADS=256");
    private static readonly CudaKernel WideForwardKernel = new("linear_cross_entropy.cu", "linear_cross_entropy_forward", "-DTHREADS=1024");
    private static readonly CudaKernel BackwardKernel = new("linear_cross_entropy.cu", "linear_cross_entropy_backward", "-DTHREADS=256");

    /// <summary>
    /// Rows whose logits exist together: enough for the products to hide reading the head twice per chunk (kernels.md §1.12), few enough for a
    /// small card. With Gemma's vocabulary 1 MiB a row: 128 rows on 14 multiprocessors, 1024 on 132.
    /// </summary>
    internal static int RowsPerChunkCuda(int multiprocessors) => Math.Clamp((int)BitOperations.RoundUpToPowerOf2((uint)(4 * multiprocessors)), 128, 1024);

    /// <summary>ln Σ exp(logits) of every row of [R, V] into [R].</summary>
    internal static void LogSumExpCuda(CudaDevice cuda, TensorView logits, TensorView result) => LaunchRows(cuda, logits, default, result, 0, false);

    private static void LossRowsCuda(CudaDevice cuda, TensorView logits, TensorView targets, TensorView losses, double gradientScale, bool differentiate) =>
        LaunchRows(cuda, logits, targets, losses, (float)gradientScale, differentiate);

    // One block per row: a long row keeps a whole block of 1024 threads busy, a short one not.
    private static void LaunchRows(CudaDevice cuda, TensorView logits, TensorView targets, TensorView losses, float scale, bool differentiate)
    {
        const int wide = 4096;
        int rows = logits.Shape[0], vocabulary = logits.Shape[1];
        bool isWide = vocabulary >= wide;
        cuda.Launch(
            isWide ? WideForwardKernel : ForwardKernel, new LaunchGrid(rows, isWide ? 1024 : 256), logits, targets, losses, vocabulary, scale,
            differentiate);
    }

    private static double SumOfLosses(TensorView losses)
    {
        int rows = losses.Shape[0];
        float[] onHost = ArrayPool<float>.Shared.Rent(rows);
        losses.Device.CopyToHost(losses, MemoryMarshal.AsBytes(onHost.AsSpan(0, rows)));
        double total = 0;
        foreach (float loss in onHost.AsSpan(0, rows)) total += loss;
        ArrayPool<float>.Shared.Return(onHost);
        return total;
    }

    private static void BackwardCuda(CudaDevice cuda, TensorView gradient, TensorView dLoss, TensorView rows, TensorView dHidden) =>
        cuda.Launch(BackwardKernel, new LaunchGrid(gradient.Shape[0], BackwardThreads), gradient, dLoss, rows, dHidden, gradient.Shape[1]);
}
