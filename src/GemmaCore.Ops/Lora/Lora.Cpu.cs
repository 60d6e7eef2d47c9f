using System.Numerics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class Lora
{
    private static void ForwardCpu(CpuDevice cpu, TensorView x, LoraWeights lora, TensorView y, TensorView u, Arena memory, Dropout dropout)
    {
        int rows = x.Shape.Rows, inputs = x.Shape.Columns, rank = u.Shape.Columns, outputs = y.Shape.Columns;
        float* kept = Drop(cpu, x, memory, dropout);
        Gemm.NT(cpu.Workers, kept, lora.A.Floats, DType.F32, u.Floats, rows, rank, inputs, accumulate: false);
        Scale(cpu, u, lora.Scale);
        Gemm.NT(cpu.Workers, u.Floats, lora.B.Floats, DType.F32, y.Floats, rows, outputs, rank, accumulate: true);
    }

    private static void BackwardCpu(
        CpuDevice cpu, TensorView x, LoraWeights lora, TensorView u, TensorView dY, TensorView dX, bool accumulate, Arena memory, Dropout dropout)
    {
        int rows = x.Shape.Rows, inputs = x.Shape.Columns, rank = u.Shape.Columns, outputs = dY.Shape.Columns;
        TensorView g = memory.Take(u.Shape);
        Gemm.NN(cpu.Workers, dY.Floats, lora.B.Floats, DType.F32, g.Floats, rows, outputs, rank, accumulate: false);
        Scale(cpu, g, lora.Scale);
        if (lora.IsTrainable)
        {
            Gemm.TN(cpu.Workers, dY.Floats, u.Floats, lora.GradientB.Floats, rows, outputs, rank);
            Arena.Mark start = memory.Position;
            Gemm.TN(cpu.Workers, g.Floats, Drop(cpu, x, memory, dropout), lora.GradientA.Floats, rows, rank, inputs);
            memory.Rewind(start);
        }

        if (dX.IsEmpty) return;
        if (!dropout.IsActive)
        {
            Gemm.NN(cpu.Workers, g.Floats, lora.A.Floats, DType.F32, dX.Floats, rows, rank, inputs, accumulate);
            return;
        }

        TensorView branch = memory.Take(x.Shape);
        Gemm.NN(cpu.Workers, g.Floats, lora.A.Floats, DType.F32, branch.Floats, rows, rank, inputs, accumulate: false);
        var work = new DropWork { Source = branch.Floats, Target = dX.Floats, Rows = rows, Columns = inputs, Dropout = dropout, Accumulate = accumulate };
        cpu.Workers.Run(ref work, RowBlocks.Count(rows, inputs));
    }

    // x̃ = m⊙x in scratch memory, or x itself when nothing is dropped.
    private static float* Drop(CpuDevice cpu, TensorView x, Arena memory, Dropout dropout)
    {
        if (!dropout.IsActive) return x.Floats;
        int rows = x.Shape.Rows, columns = x.Shape.Columns;
        TensorView kept = memory.Take(x.Shape);
        var work = new DropWork { Source = x.Floats, Target = kept.Floats, Rows = rows, Columns = columns, Dropout = dropout };
        cpu.Workers.Run(ref work, RowBlocks.Count(rows, columns));
        return kept.Floats;
    }

    // [T, R] is small: not worth a thread.
    private static void Scale(CpuDevice cpu, TensorView view, float factor)
    {
        var work = new ScaleWork { Values = view.Floats, Count = view.Shape.ElementCount, Factor = factor };
        cpu.Workers.Run(ref work, 1);
    }

    private struct ScaleWork : IWork
    {
        public float* Values;
        public long Count;
        public float Factor;

        public readonly void Execute(int index)
        {
            var factor = new Vector<float>(Factor);
            long i = 0;
            for (; i <= Count - Lanes.Width; i += Lanes.Width) Lanes.Store(Lanes.Load(Values + i) * factor, Values + i);
            for (; i < Count; i++) Values[i] *= Factor;
        }
    }

    private struct DropWork : IWork
    {
        public float* Source, Target;
        public int Rows, Columns;
        public Dropout Dropout;
        public bool Accumulate;

        public readonly void Execute(int index)
        {
            (int first, int end) = RowBlocks.Range(index, Rows, Columns);
            long i = (long)first * Columns, last = (long)end * Columns;
            for (; i <= last - Lanes.Width; i += Lanes.Width)
            {
                Vector<float> kept = Lanes.Load(Source + i) * Dropout.Factors(i);
                Lanes.Store(Accumulate ? Lanes.Load(Target + i) + kept : kept, Target + i);
            }

            for (; i < last; i++)
            {
                float kept = Source[i] * Dropout.Factor(i);
                Target[i] = Accumulate ? Target[i] + kept : kept;
            }
        }
    }
}
