using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class SumOfSquares
{
    private static double SumCpu(ReadOnlySpan<TensorView> tensors)
    {
        double sum = 0;
        foreach (TensorView x in tensors) sum += SumCpu(x);
        return sum;
    }

    // Gradients of adapters are small; one thread reads them faster than two agree on who does what.
    private static double SumCpu(TensorView x)
    {
        long elements = x.Shape.ElementCount;
        double sum = 0;
        for (int block = 0; block < ElementBlocks.Count(elements); block++)
        {
            (long start, int count) = ElementBlocks.Range(block, elements);
            float* part = x.Floats + start;
            sum += Lanes.Dot(part, part, count);
        }

        return sum;
    }
}
