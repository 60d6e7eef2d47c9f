using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class Add
{
    private static void SumCpu(CpuDevice cpu, TensorView a, TensorView b, TensorView sum)
    {
        var work = new SumWork { A = a.Floats, B = b.Floats, Sum = sum.Floats, Elements = a.Shape.ElementCount };
        cpu.Workers.Run(ref work, ElementBlocks.Count(work.Elements));
    }

    private static void CopyCpu(CpuDevice cpu, TensorView source, TensorView destination)
    {
        var work = new CopyWork { Source = source.Floats, Destination = destination.Floats, Elements = source.Shape.ElementCount };
        cpu.Workers.Run(ref work, ElementBlocks.Count(work.Elements));
    }

    private struct SumWork : IWork
    {
        public float* A, B, Sum;
        public long Elements;

        public readonly void Execute(int index)
        {
            (long start, int count) = ElementBlocks.Range(index, Elements);
            float* a = A + start, b = B + start, sum = Sum + start;
            int i = 0;
            for (; i <= count - Lanes.Width; i += Lanes.Width) Lanes.Store(Lanes.Load(a + i) + Lanes.Load(b + i), sum + i);
            for (; i < count; i++) sum[i] = a[i] + b[i];
        }
    }

    private struct CopyWork : IWork
    {
        public float* Source, Destination;
        public long Elements;

        public readonly void Execute(int index)
        {
            (long start, int count) = ElementBlocks.Range(index, Elements);
            new ReadOnlySpan<float>(Source + start, count).CopyTo(new Span<float>(Destination + start, count));
        }
    }
}
