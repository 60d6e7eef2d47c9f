using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class SumOfSquares
{
    // Gradients of adapters are small; one thread reads them faster than two agree on who does what.
    private static double SumCpu(CpuDevice cpu, ReadOnlySpan<TensorView> tensors)
    {
        double sum = 0;
        foreach (TensorView x in tensors)
        {
            double ofTensor = 0;
            var work = new SumWork { Values = x.Floats, Count = x.Shape.ElementCount, Sum = &ofTensor };
            cpu.Workers.Run(ref work, 1);
            sum += ofTensor;
        }

        return sum;
    }

    private struct SumWork : IWork
    {
        public float* Values;
        public long Count;
        public double* Sum;

        public readonly void Execute(int index)
        {
            double sum = 0;
            for (int block = 0; block < ElementBlocks.Count(Count); block++)
            {
                (long start, int count) = ElementBlocks.Range(block, Count);
                sum += Lanes.Dot(Values + start, Values + start, count);
            }

            *Sum = sum;
        }
    }
}
