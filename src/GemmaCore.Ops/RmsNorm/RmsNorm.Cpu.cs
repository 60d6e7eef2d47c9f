using System.Numerics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class RmsNorm
{
    private static void ForwardCpu(CpuDevice cpu, TensorView x, TensorView w, float eps, float gainOffset, TensorView y)
    {
        var work = new ForwardWork
        {
            X = x.Floats, W = w.Floats, Y = y.Floats, Eps = eps, GainOffset = gainOffset, Columns = x.Shape.Columns, Rows = x.Shape.Rows,
        };
        cpu.Workers.Run(ref work, RowBlocks.Count(work.Rows, work.Columns));
    }

    internal static void BackwardCpu(
        CpuDevice cpu, TensorView x, TensorView w, float eps, float gainOffset, TensorView dY, TensorView dX, bool accumulate)
    {
        var work = new BackwardWork
        {
            X = x.Floats, W = w.Floats, DY = dY.Floats, DX = dX.Floats, Eps = eps, GainOffset = gainOffset,
            Columns = x.Shape.Columns, Rows = x.Shape.Rows, Accumulate = accumulate,
        };
        cpu.Workers.Run(ref work, RowBlocks.Count(work.Rows, work.Columns));
    }

    private struct ForwardWork : IWork
    {
        public float* X, W, Y;
        public float Eps, GainOffset;
        public int Columns, Rows;

        public readonly void Execute(int index)
        {
            (int first, int end) = RowBlocks.Range(index, Rows, Columns);
            for (int row = first; row < end; row++)
            {
                float* x = X + (long)row * Columns, y = Y + (long)row * Columns;
                float r = 1 / MathF.Sqrt(Lanes.Dot(x, x, Columns) / Columns + Eps);
                var offset = new Vector<float>(GainOffset);
                int i = 0;
                for (; i <= Columns - Lanes.Width; i += Lanes.Width)
                    Lanes.Store((Lanes.Load(W + i) + offset) * (Lanes.Load(x + i) * r), y + i);
                for (; i < Columns; i++) y[i] = (W[i] + GainOffset) * (x[i] * r);
            }
        }
    }

    private struct BackwardWork : IWork
    {
        public float* X, W, DY, DX;
        public float Eps, GainOffset;
        public int Columns, Rows;
        public bool Accumulate;

        public readonly void Execute(int index)
        {
            (int first, int end) = RowBlocks.Range(index, Rows, Columns);
            for (int row = first; row < end; row++)
            {
                float* x = X + (long)row * Columns, dY = DY + (long)row * Columns, dX = DX + (long)row * Columns;
                float r = 1 / MathF.Sqrt(Lanes.Dot(x, x, Columns) / Columns + Eps);
                float slope = r * r * r / Columns * GainedDot(dY, x);
                var offset = new Vector<float>(GainOffset);
                int i = 0;
                for (; i <= Columns - Lanes.Width; i += Lanes.Width)
                {
                    Vector<float> d = (Lanes.Load(W + i) + offset) * Lanes.Load(dY + i) * r - Lanes.Load(x + i) * slope;
                    Lanes.Store(Accumulate ? Lanes.Load(dX + i) + d : d, dX + i);
                }

                for (; i < Columns; i++)
                {
                    float d = (W[i] + GainOffset) * dY[i] * r - x[i] * slope;
                    dX[i] = Accumulate ? dX[i] + d : d;
                }
            }
        }

        // Σ (offset + w)·dY·x over one row.
        private readonly float GainedDot(float* dY, float* x)
        {
            var offset = new Vector<float>(GainOffset);
            Vector<float> sum = Vector<float>.Zero;
            int i = 0;
            for (; i <= Columns - Lanes.Width; i += Lanes.Width)
                sum = Vector.FusedMultiplyAdd((Lanes.Load(W + i) + offset) * Lanes.Load(dY + i), Lanes.Load(x + i), sum);
            float total = Vector.Sum(sum);
            for (; i < Columns; i++) total += (W[i] + GainOffset) * dY[i] * x[i];
            return total;
        }
    }
}
