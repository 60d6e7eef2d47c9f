using System.Numerics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class ScaleColumns
{
    private static void ForwardCpu(CpuDevice cpu, TensorView y, TensorView scale, TensorView bias)
    {
        var work = new Work { Y = y.Floats, Scale = scale.Floats, Bias = bias.IsEmpty ? null : bias.Floats, Rows = y.Shape.Rows, Columns = y.Shape.Columns };
        cpu.Workers.Run(ref work, RowBlocks.Count(work.Rows, work.Columns));
    }

    private struct Work : IWork
    {
        public float* Y, Scale, Bias;
        public int Rows, Columns;

        public readonly void Execute(int index)
        {
            (int first, int end) = RowBlocks.Range(index, Rows, Columns);
            for (int row = first; row < end; row++)
            {
                float* y = Y + (long)row * Columns;
                int i = 0;
                for (; i <= Columns - Lanes.Width; i += Lanes.Width)
                {
                    Vector<float> bias = Bias is null ? Vector<float>.Zero : Lanes.Load(Bias + i);
                    Lanes.Store(Vector.FusedMultiplyAdd(Lanes.Load(y + i), Lanes.Load(Scale + i), bias), y + i);
                }

                for (; i < Columns; i++) y[i] = MathF.FusedMultiplyAdd(y[i], Scale[i], Bias is null ? 0 : Bias[i]);
            }
        }
    }
}
