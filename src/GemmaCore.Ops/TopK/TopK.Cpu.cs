using System.Numerics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class TopK
{
    private static void ForwardCpu(CpuDevice cpu, TensorView logits, TensorView ids, TensorView values, TensorView logprobs)
    {
        var work = new Work
        {
            Logits = logits.Floats, Ids = ids.Ints, Values = values.IsEmpty ? null : values.Floats, Logprobs = logprobs.IsEmpty ? null : logprobs.Floats,
            Columns = logits.Shape[1], K = ids.Shape[1],
        };
        cpu.Workers.Run(ref work, logits.Shape[0]);
    }

    private struct Work : IWork
    {
        public float* Logits, Values, Logprobs;
        public int* Ids;
        public int Columns, K;

        public readonly void Execute(int index)
        {
            float* row = Logits + (long)index * Columns;
            int* ids = Ids + (long)index * K;
            float* values = stackalloc float[K];
            if (AllFinite(row))
            {
                new Best(values, ids, K).Take(row, Columns);
            }
            else
            {
                new Span<int>(ids, K).Fill(-1);
                new Span<float>(values, K).Fill(float.NaN);
            }

            if (Values != null) new Span<float>(values, K).CopyTo(new Span<float>(Values + (long)index * K, K));
            if (Logprobs == null) return;
            double total = LogSumExp(row, values[0]);
            for (int i = 0; i < K; i++) Logprobs[(long)index * K + i] = (float)(values[i] - total);
        }

        // A finite number times zero is zero; NaN and infinity become NaN, which no sum loses again.
        private readonly bool AllFinite(float* row)
        {
            Vector<float> sum = Vector<float>.Zero;
            int i = 0;
            for (; i <= Columns - Lanes.Width; i += Lanes.Width) sum += Lanes.Load(row + i) * Vector<float>.Zero;
            float rest = Vector.Sum(sum);
            for (; i < Columns; i++) rest += row[i] * 0;
            return rest == 0;
        }

        private readonly double LogSumExp(float* row, double max)
        {
            double sum = 0;
            for (int i = 0; i < Columns; i++) sum += Math.Exp(row[i] - max);
            return max + Math.Log(sum);
        }
    }

    /// <summary>A heap of the best so far with the worst of them at the root; sorted in place at the end.</summary>
    private readonly struct Best(float* values, int* ids, int count)
    {
        public void Take(float* row, int columns)
        {
            for (int i = 0; i < count; i++) (values[i], ids[i]) = (row[i], i);
            for (int i = count / 2 - 1; i >= 0; i--) SiftDown(i, count);
            int next = count;
            // Once the heap is full of large ones, hardly a vector holds a larger one. An equal one has a higher id and stays out.
            for (; next <= columns - Lanes.Width; next += Lanes.Width)
            {
                if (!Vector.GreaterThanAny(Lanes.Load(row + next), new Vector<float>(values[0]))) continue;
                for (int i = next; i < next + Lanes.Width; i++) Offer(row[i], i);
            }

            for (; next < columns; next++) Offer(row[next], next);
            for (int end = count - 1; end > 0; end--)
            {
                Swap(0, end);
                SiftDown(0, end);
            }
        }

        private void Offer(float value, int id)
        {
            if (!(value > values[0])) return;
            (values[0], ids[0]) = (value, id);
            SiftDown(0, count);
        }

        private void SiftDown(int root, int end)
        {
            while (true)
            {
                int child = 2 * root + 1;
                if (child >= end) return;
                if (child + 1 < end && IsWorse(child + 1, child)) child++;
                if (!IsWorse(child, root)) return;
                Swap(root, child);
                root = child;
            }
        }

        private bool IsWorse(int a, int b) => values[a] < values[b] || (values[a] == values[b] && ids[a] > ids[b]);

        private void Swap(int a, int b) => (values[a], ids[a], values[b], ids[b]) = (values[b], ids[b], values[a], ids[a]);
    }
}
