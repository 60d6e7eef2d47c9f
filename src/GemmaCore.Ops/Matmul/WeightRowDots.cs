using System.Runtime.InteropServices;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// y = x·wᵀ (+ b) for a few rows of x and a matrix whose rows must be computed: each is dequantised once, stays in the first-level cache, and meets
/// all rows of x there.
/// </summary>
internal static unsafe class WeightRowDots
{
    // Some 5 µs of one core's arithmetic.
    private const int ElementsPerPart = 1 << 16;

    public static void Run<TRows>(WorkerPool workers, TRows rows, float* x, int count, float* bias, float* y, int outputs) where TRows : struct, IWeightRows
    {
        int step = Math.Clamp(ElementsPerPart / Math.Max(1, rows.Columns), 4, 1 << 12);
        var work = new Work<TRows> { Rows = rows, X = x, Count = count, Bias = bias, Y = y, Outputs = outputs, Step = step };
        workers.Run(ref work, (outputs + step - 1) / step);
    }

    private struct Work<TRows> : IWork where TRows : struct, IWeightRows
    {
        public TRows Rows;
        public float* X, Bias, Y;
        public int Count, Outputs, Step;

        public readonly void Execute(int index)
        {
            int columns = Rows.Columns, end = Math.Min(Outputs, (index + 1) * Step);
            float* row = RowScratch.Take(columns);
            for (int n = index * Step; n < end; n++)
            {
                Rows.Read(n, 0, columns, row);
                float bias = Bias == null ? 0 : Bias[n];
                for (int m = 0; m < Count; m++) Y[(long)m * Outputs + n] = Lanes.Dot(X + (long)m * columns, row, columns) + bias;
            }
        }
    }

    /// <summary>One row of floats for each thread, freed after the thread has ended.</summary>
    private sealed class RowScratch
    {
        [ThreadStatic]
        private static RowScratch? t_mine;

        private float* _row;
        private int _length;

        ~RowScratch() => NativeMemory.AlignedFree(_row);

        public static float* Take(int length)
        {
            RowScratch mine = t_mine ??= new RowScratch();
            if (mine._length >= length) return mine._row;
            NativeMemory.AlignedFree(mine._row);
            mine._row = (float*)NativeMemory.AlignedAlloc((nuint)length * sizeof(float), 64);
            mine._length = length;
            return mine._row;
        }
    }
}
