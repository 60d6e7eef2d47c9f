using System.Buffers;
using System.Runtime.InteropServices;
using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class SumOfSquares
{
    private const int Threads = 256;

    private static readonly CudaKernel ForwardKernel = new("sum_of_squares.cu", "sum_of_squares_forward");

    // The parts of all tensors lie one after the other, and come to the host in one piece.
    private static double SumCuda(CudaDevice cuda, ReadOnlySpan<TensorView> tensors)
    {
        int parts = 0;
        foreach (TensorView x in tensors) parts += ElementBlocks.Count(x.Shape.ElementCount);
        if (parts == 0) return 0;
        Arena.Mark mark = cuda.Scratch.Position;
        TensorView sums = cuda.Scratch.Take(new Shape(parts));
        int first = 0;
        foreach (TensorView x in tensors)
        {
            int count = ElementBlocks.Count(x.Shape.ElementCount);
            if (count > 0) cuda.Launch(ForwardKernel, new LaunchGrid(count, Threads), x, sums.Slice(first, count), x.Shape.ElementCount);
            first += count;
        }

        float[] onHost = ArrayPool<float>.Shared.Rent(parts);
        cuda.CopyToHost(sums, MemoryMarshal.AsBytes(onHost.AsSpan(0, parts)));
        cuda.Scratch.Rewind(mark);
        double total = 0;
        foreach (float sum in onHost.AsSpan(0, parts)) total += sum;
        ArrayPool<float>.Shared.Return(onHost);
        return total;
    }
}
