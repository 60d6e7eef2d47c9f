using System.Numerics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class LinearCrossEntropy
{
    // Enough rows to pay for unpacking the head's 16-bit weights; logits of 128 rows take 134 MB with Gemma's vocabulary.
    private const int RowsPerChunkCpu = 128;

    // Loss of one chunk of rows; their logits become gradients when differentiating.
    private static double LossRowsCpu(CpuDevice cpu, TensorView logits, ReadOnlySpan<int> targets, double gradientScale, bool differentiate)
    {
        int count = targets.Length;
        double* losses = stackalloc double[RowsPerChunkCpu];
        fixed (int* target = targets)
        {
            var inputs = new LossRows
            {
                Logits = logits.Floats, Targets = target, Losses = losses, Vocabulary = logits.Shape[1], Differentiate = differentiate,
                GradientScale = gradientScale,
            };
            if (Avx512F.IsSupported) Run<Vectors512, Vector512<float>>(cpu, inputs, count);
            else if (Vector256.IsHardwareAccelerated) Run<Vectors256, Vector256<float>>(cpu, inputs, count);
            else Run<Vectors128, Vector128<float>>(cpu, inputs, count);
        }

        double total = 0;
        for (int i = 0; i < count; i++) total += losses[i];
        return total;
    }

    // Every row of the hidden states has one place at most among the rows of the loss, so parts of rows meet nowhere.
    private static void BackwardCpu(CpuDevice cpu, TensorView gradient, TensorView dLoss, TensorView rows, TensorView dHidden)
    {
        int count = gradient.Shape[0], columns = gradient.Shape[1];
        var work = new ScatterWork { From = gradient.Floats, To = dHidden.Floats, Scale = dLoss.Floats, Places = rows.Ints, Rows = count, Columns = columns };
        cpu.Workers.Run(ref work, RowBlocks.Count(count, columns));
    }

    private struct ScatterWork : IWork
    {
        public float* From, To, Scale;
        public int* Places;
        public int Rows, Columns;

        public readonly void Execute(int index)
        {
            (int first, int end) = RowBlocks.Range(index, Rows, Columns);
            var scale = new Vector<float>(*Scale);
            for (int row = first; row < end; row++)
            {
                float* from = From + (nint)row * Columns, to = To + (nint)Places[row] * Columns;
                int i = 0;
                for (; i <= Columns - Lanes.Width; i += Lanes.Width) Lanes.Store(Lanes.Load(to + i) + scale * Lanes.Load(from + i), to + i);
                for (; i < Columns; i++) to[i] += *Scale * from[i];
            }
        }
    }

    private static void Run<TLanes, TVector>(CpuDevice cpu, in LossRows rows, int count)
        where TLanes : struct, IVectors<TVector> where TVector : struct
    {
        var work = new LossWork<TLanes, TVector> { Rows = rows };
        cpu.Workers.Run(ref work, count);
    }

    private struct LossRows
    {
        /// <summary>[rows, V]; becomes (softmax − onehot) · GradientScale when differentiating.</summary>
        public float* Logits;

        /// <summary>[rows].</summary>
        public int* Targets;

        /// <summary>[rows], −log softmax at the target.</summary>
        public double* Losses;

        public int Vocabulary;
        public bool Differentiate;
        public double GradientScale;
    }

    private struct LossWork<TLanes, TVector> : IWork where TLanes : struct, IVectors<TVector> where TVector : struct
    {
        // Sums run in float within a block and in double across: a quarter of a million terms lose nothing.
        private const int Block = 4096;

        public LossRows Rows;

        public readonly void Execute(int index)
        {
            float* logits = Rows.Logits + (nint)index * Rows.Vocabulary;
            int target = Rows.Targets[index];
            float largest = Maximum(logits), targetLogit = logits[target];
            double sum = 0;
            for (int i = 0; i < Rows.Vocabulary; i += Block) sum += Exponentiate(logits + i, Math.Min(Block, Rows.Vocabulary - i), largest);
            Rows.Losses[index] = Math.Log(sum) + largest - targetLogit;
            if (!Rows.Differentiate) return;

            // logits hold exp(logit − largest) now.
            Scale(logits, (float)(Rows.GradientScale / sum));
            logits[target] -= (float)Rows.GradientScale;
        }

        private readonly float Maximum(float* logits)
        {
            float largest = logits[0];
            int i = 0;
            if (Rows.Vocabulary >= TLanes.Count)
            {
                TVector lanes = TLanes.Load(logits);
                for (; i <= Rows.Vocabulary - TLanes.Count; i += TLanes.Count) lanes = TLanes.Max(lanes, TLanes.Load(logits + i));
                float* each = stackalloc float[16];
                TLanes.Store(lanes, each);
                for (int lane = 0; lane < TLanes.Count; lane++) largest = MathF.Max(largest, each[lane]);
            }

            for (; i < Rows.Vocabulary; i++) largest = MathF.Max(largest, logits[i]);
            return largest;
        }

        private readonly double Exponentiate(float* logits, int count, float largest)
        {
            TVector shift = TLanes.All(largest), sum = TLanes.All(0);
            int i = 0;
            for (; i <= count - TLanes.Count; i += TLanes.Count)
            {
                TVector e = VectorExp<TLanes, TVector>.Of(TLanes.Subtract(TLanes.Load(logits + i), shift));
                sum = TLanes.Add(sum, e);
                if (Rows.Differentiate) TLanes.Store(e, logits + i);
            }

            float* each = stackalloc float[16];
            TLanes.Store(sum, each);
            double total = 0;
            for (int lane = 0; lane < TLanes.Count; lane++) total += each[lane];
            for (; i < count; i++)
            {
                float e = MathF.Exp(logits[i] - largest);
                total += e;
                if (Rows.Differentiate) logits[i] = e;
            }

            return total;
        }

        private readonly void Scale(float* values, float factor)
        {
            TVector factors = TLanes.All(factor);
            int i = 0;
            for (; i <= Rows.Vocabulary - TLanes.Count; i += TLanes.Count) TLanes.Store(TLanes.Multiply(TLanes.Load(values + i), factors), values + i);
            for (; i < Rows.Vocabulary; i++) values[i] *= factor;
        }
    }
}
