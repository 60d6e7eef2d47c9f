using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class LinearCrossEntropy
{
    // Loss of one chunk of rows; their dHidden goes to gradient unless that is empty.
    private static double ChunkCpu(
        CpuDevice cpu, TensorView hidden, TensorView head, ReadOnlySpan<int> rows, ReadOnlySpan<int> targets, double gradientScale, Arena arena,
        TensorView gradient)
    {
        int count = rows.Length, columns = hidden.Shape[1], vocabulary = head.Shape[0];
        TensorView gathered = arena.Take(new Shape(count, columns)), logits = arena.Take(new Shape(count, vocabulary));
        for (int i = 0; i < count; i++) cpu.Copy(hidden.Slice(rows[i], 1), gathered.Slice(i, 1));
        Gemm.NT(
            cpu.Workers, gathered.Floats, (void*)head.Pointer, head.DType, logits.Floats, count, vocabulary, columns, accumulate: false);

        double* losses = stackalloc double[RowsPerChunk];
        fixed (int* target = targets)
        {
            var inputs = new LossRows
            {
                Logits = logits.Floats, Targets = target, Losses = losses, Vocabulary = vocabulary, Differentiate = !gradient.IsEmpty,
                GradientScale = gradientScale,
            };
            if (Avx512F.IsSupported) Run<Vectors512, Vector512<float>>(cpu, inputs, count);
            else if (Vector256.IsHardwareAccelerated) Run<Vectors256, Vector256<float>>(cpu, inputs, count);
            else Run<Vectors128, Vector128<float>>(cpu, inputs, count);
        }

        if (!gradient.IsEmpty)
        {
            Gemm.NN(
                cpu.Workers, logits.Floats, (void*)head.Pointer, head.DType, gradient.Floats, count, vocabulary, columns, accumulate: false);
        }

        double total = 0;
        for (int i = 0; i < count; i++) total += losses[i];
        return total;
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
