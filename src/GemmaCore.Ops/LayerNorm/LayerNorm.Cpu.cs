using System.Numerics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class LayerNorm
{
    private static void ForwardCpu(CpuDevice cpu, TensorView x, TensorView w, TensorView b, float eps, TensorView y)
    {
        var work = new ForwardWork
        {
            X = x.Floats, W = w.Floats, B = b.Floats, Y = y.Floats, Eps = eps, Columns = x.Shape.Columns, Rows = x.Shape.Rows,
        };
        cpu.Workers.Run(ref work, RowBlocks.Count(work.Rows, work.Columns));
    }

    private static void BackwardCpu(
        CpuDevice cpu, TensorView x, TensorView w, float eps, TensorView dY, TensorView dX, bool accumulate)
    {
        var work = new BackwardWork
        {
            X = x.Floats, W = w.Floats, DY = dY.Floats, DX = dX.Floats, Eps = eps,
            Columns = x.Shape.Columns, Rows = x.Shape.Rows, Accumulate = accumulate,
        };
        cpu.Workers.Run(ref work, RowBlocks.Count(work.Rows, work.Columns));
    }

    // Two passes, so that a large mean costs no digits: the squares are those of what is left, and what the left-overs do not sum to zero by is
    // the first sum's rounding error, which corrects both (Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983, eq. 1.7).
    private static (float Mean, float Reciprocal) Statistics(float* x, int columns, float eps)
    {
        Vector<float> sum = Vector<float>.Zero;
        int i = 0;
        for (; i <= columns - Lanes.Width; i += Lanes.Width) sum += Lanes.Load(x + i);
        float total = Vector.Sum(sum);
        for (; i < columns; i++) total += x[i];
        float mean = total / columns;

        var meanLanes = new Vector<float>(mean);
        Vector<float> left = Vector<float>.Zero, squares = Vector<float>.Zero;
        for (i = 0; i <= columns - Lanes.Width; i += Lanes.Width)
        {
            Vector<float> d = Lanes.Load(x + i) - meanLanes;
            left += d;
            squares = Vector.FusedMultiplyAdd(d, d, squares);
        }

        float rest = Vector.Sum(left), square = Vector.Sum(squares);
        for (; i < columns; i++)
        {
            float d = x[i] - mean;
            rest += d;
            square += d * d;
        }

        float correction = rest / columns;
        return (mean + correction, 1 / MathF.Sqrt(MathF.Max(0, square / columns - correction * correction) + eps));
    }

    private struct ForwardWork : IWork
    {
        public float* X, W, B, Y;
        public float Eps;
        public int Columns, Rows;

        public readonly void Execute(int index)
        {
            (int first, int end) = RowBlocks.Range(index, Rows, Columns);
            for (int row = first; row < end; row++)
            {
                float* x = X + (long)row * Columns, y = Y + (long)row * Columns;
                (float mean, float r) = Statistics(x, Columns, Eps);
                var meanLanes = new Vector<float>(mean);
                int i = 0;
                for (; i <= Columns - Lanes.Width; i += Lanes.Width)
                    Lanes.Store((Lanes.Load(x + i) - meanLanes) * r * Lanes.Load(W + i) + Lanes.Load(B + i), y + i);
                for (; i < Columns; i++) y[i] = (x[i] - mean) * r * W[i] + B[i];
            }
        }
    }

    private struct BackwardWork : IWork
    {
        public float* X, W, DY, DX;
        public float Eps;
        public int Columns, Rows;
        public bool Accumulate;

        public readonly void Execute(int index)
        {
            (int first, int end) = RowBlocks.Range(index, Rows, Columns);
            for (int row = first; row < end; row++)
            {
                float* x = X + (long)row * Columns, dY = DY + (long)row * Columns, dX = DX + (long)row * Columns;
                (float mean, float r) = Statistics(x, Columns, Eps);
                (float meanU, float slope) = Means(x, dY, mean, r);
                var meanLanes = new Vector<float>(mean);
                var meanULanes = new Vector<float>(meanU);
                int i = 0;
                for (; i <= Columns - Lanes.Width; i += Lanes.Width)
                {
                    Vector<float> normal = (Lanes.Load(x + i) - meanLanes) * r;
                    Vector<float> d = (Lanes.Load(W + i) * Lanes.Load(dY + i) - meanULanes - normal * slope) * r;
                    Lanes.Store(Accumulate ? Lanes.Load(dX + i) + d : d, dX + i);
                }

                for (; i < Columns; i++)
                {
                    float d = (W[i] * dY[i] - meanU - (x[i] - mean) * r * slope) * r;
                    dX[i] = Accumulate ? dX[i] + d : d;
                }
            }
        }

        // mean(u) and mean(u⊙x̂) over one row.
        private readonly (float MeanU, float Slope) Means(float* x, float* dY, float mean, float r)
        {
            var meanLanes = new Vector<float>(mean);
            Vector<float> sumU = Vector<float>.Zero, sumProduct = sumU;
            int i = 0;
            for (; i <= Columns - Lanes.Width; i += Lanes.Width)
            {
                Vector<float> u = Lanes.Load(W + i) * Lanes.Load(dY + i);
                sumU += u;
                sumProduct = Vector.FusedMultiplyAdd(u, Lanes.Load(x + i) - meanLanes, sumProduct);
            }

            float totalU = Vector.Sum(sumU), totalProduct = Vector.Sum(sumProduct);
            for (; i < Columns; i++)
            {
                float u = W[i] * dY[i];
                totalU += u;
                totalProduct += u * (x[i] - mean);
            }

            return (totalU / Columns, totalProduct * r / Columns);
        }
    }
}
