using System.Numerics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class Rope
{
    private static void FillTableCpu(CpuDevice cpu, TensorView positions, TensorView inverseFrequencies, TensorView cos, TensorView sin)
    {
        var work = new TableWork
        {
            Positions = positions.Ints, Frequencies = inverseFrequencies.Floats, Cos = cos.Floats, Sin = sin.Floats,
            Rows = cos.Shape.Rows, Columns = cos.Shape.Columns,
        };
        cpu.Workers.Run(ref work, RowBlocks.Count(work.Rows, work.Columns));
    }

    internal static void RotateCpu(CpuDevice cpu, TensorView x, TensorView cos, TensorView sin, int direction)
    {
        var work = new RotateWork
        {
            X = x.Floats, Cos = cos.Floats, Sin = sin.Floats, Direction = direction,
            Tokens = x.Shape[0], Heads = x.Shape[1], Half = x.Shape[2] / 2,
        };
        cpu.Workers.Run(ref work, RowBlocks.Count(work.Tokens, x.Shape[1] * x.Shape[2]));
    }

    private struct TableWork : IWork
    {
        public int* Positions;
        public float* Frequencies, Cos, Sin;
        public int Rows, Columns;

        public readonly void Execute(int index)
        {
            (int first, int end) = RowBlocks.Range(index, Rows, Columns);
            for (int row = first; row < end; row++)
            {
                float position = Positions[row];
                float* cos = Cos + (long)row * Columns, sin = Sin + (long)row * Columns;
                for (int j = 0; j < Columns; j++)
                {
                    // Angles reach 1e5 radians, where an fp32 argument reduction would be poor: the functions are evaluated in double.
                    float angle = position * Frequencies[j];
                    (double s, double c) = Math.SinCos(angle);
                    cos[j] = (float)c;
                    sin[j] = (float)s;
                }
            }
        }
    }

    private struct RotateWork : IWork
    {
        public float* X, Cos, Sin;
        public int Direction, Tokens, Heads, Half;

        public readonly void Execute(int index)
        {
            (int first, int end) = RowBlocks.Range(index, Tokens, Heads * 2 * Half);
            for (int token = first; token < end; token++)
            {
                float* cos = Cos + (long)token * Half, sin = Sin + (long)token * Half;
                float* head = X + (long)token * Heads * 2 * Half;
                for (int h = 0; h < Heads; h++, head += 2 * Half) Rotate(head, head + Half, cos, sin);
            }
        }

        // Two products and a sum, each rounded: no fused multiply-add, as in the reference implementation.
        private readonly void Rotate(float* low, float* high, float* cos, float* sin)
        {
            float direction = Direction;
            int j = 0;
            for (; j <= Half - Lanes.Width; j += Lanes.Width)
            {
                Vector<float> a = Lanes.Load(low + j), b = Lanes.Load(high + j);
                Vector<float> c = Lanes.Load(cos + j), s = Lanes.Load(sin + j) * direction;
                Lanes.Store(a * c - b * s, low + j);
                Lanes.Store(b * c + a * s, high + j);
            }

            for (; j < Half; j++)
            {
                float a = low[j], b = high[j], c = cos[j], s = sin[j] * direction;
                low[j] = a * c - b * s;
                high[j] = b * c + a * s;
            }
        }
    }
}
