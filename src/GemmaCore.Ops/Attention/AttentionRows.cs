using System.Numerics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Forward pass for a few query rows (decoding): lanes run along the head dimension, and the keys are split so that one long sequence
/// keeps all threads busy. A part takes its slots with all their heads, because those lie together in memory: one head at a time would
/// jump from page to page. It leaves an unnormalised output, the largest score and the sum per row and head; <see cref="AttentionMerge"/> joins them.
/// </summary>
internal unsafe struct AttentionRows : IWork
{
    // Above this a tile fills enough lanes to be faster.
    private const int MostLanes = 8;

    private const int KeysPerSplit = 128;

    public AttentionOperands Operands;

    /// <summary>[parts, MostLanes · K, H + 2].</summary>
    public float* Partials;

    public static bool Suits(in AttentionSequence sequence, int group) => (long)sequence.RowCount * group <= MostLanes;

    public static int PartialStride(in AttentionOperands operands) => MostLanes * operands.KeyHeads * (operands.HeadSize + 2);

    public static int SplitCount(in AttentionOperands operands, in AttentionSequence sequence)
    {
        KeyRange visible = operands.Visible(sequence.FirstRow, sequence.FirstRow + sequence.RowCount);
        return Math.Max(1, (visible.End - visible.Start + KeysPerSplit - 1) / KeysPerSplit);
    }

    public static int Count(in AttentionOperands operands)
    {
        int count = 0;
        foreach (ref readonly AttentionSequence sequence in operands.Sequences.AsSpan())
            if (Suits(sequence, operands.Group)) count += SplitCount(operands, sequence);
        return count;
    }

    public readonly void Execute(int index)
    {
        int split = index;
        for (int s = 0; ; s++)
        {
            ref readonly AttentionSequence sequence = ref Operands.Sequences[s];
            if (!Suits(sequence, Operands.Group)) continue;
            int count = SplitCount(Operands, sequence);
            if (split < count)
            {
                Run(sequence, split, Partials + (nint)index * PartialStride(Operands));
                return;
            }

            split -= count;
        }
    }

    private readonly void Run(in AttentionSequence sequence, int split, float* partial)
    {
        KeyRange visible = Operands.Visible(sequence.FirstRow, sequence.FirstRow + sequence.RowCount);
        int first = visible.Start + split * KeysPerSplit, end = Math.Min(visible.End, first + KeysPerSplit);
        int rows = sequence.RowCount * Operands.Heads, headSize = Operands.HeadSize;
        float* scores = AttentionScratch.ForTile((long)rows * KeysPerSplit + AttentionSequence.PageRows * Operands.KeyStride); // [token · N + head, slot]
        float* copies = scores + rows * KeysPerSplit;
        new Span<float>(scores, rows * KeysPerSplit).Fill(float.NegativeInfinity);
        int count;
        for (int slot = first; slot < end; slot += count)
        {
            count = Math.Min(Run(sequence, slot), end - slot);
            float* key = RowsOf(sequence, slot, count, isValue: false, copies);
            for (int i = 0; i < count; i++) Score(sequence, slot + i, key + i * Operands.KeyStride, scores + slot + i - first);
        }

        for (int row = 0; row < rows; row++)
        {
            float* mine = partial + (nint)row * (headSize + 2), weights = scores + row * KeysPerSplit;
            new Span<float>(mine, headSize).Clear();
            mine[headSize] = Maximum(weights, end - first);
            mine[headSize + 1] = Exponentiate(weights, end - first, mine[headSize]);
        }

        for (int slot = first; slot < end; slot += count)
        {
            // Four values at a time, so that the output is loaded and stored once for four products.
            count = Math.Min(Math.Min(4, Run(sequence, slot)), end - slot);
            float* value = RowsOf(sequence, slot, count, isValue: true, copies);
            for (int row = 0; row < rows; row++)
            {
                float* output = partial + (nint)row * (headSize + 2), weights = scores + row * KeysPerSplit + slot - first;
                float* mine = value + (nint)(row % Operands.Heads / Operands.Group) * headSize;
                if (count == 4) AddFour(output, mine, weights);
                else for (int i = 0; i < count; i++) AddOne(output, mine + i * Operands.KeyStride, weights[i]);
            }
        }
    }

    // What is f32 is read where it lies, page by page; what is not, a page at a time.
    private readonly int Run(in AttentionSequence sequence, int slot) =>
        sequence.IsNarrow ? Math.Min(Operands.RunOf(sequence, slot), AttentionSequence.PageRows) : Operands.Locate(sequence, slot, 0, out _, out _);

    private readonly float* RowsOf(in AttentionSequence sequence, int slot, int count, bool isValue, float* copies)
    {
        if (sequence.IsNarrow) return Operands.Rows(sequence, slot, count, new RowPart(0, (int)Operands.KeyStride, isValue), copies, out _);
        Operands.Locate(sequence, slot, 0, out float* key, out float* value);
        return isValue ? value : key;
    }

    // One slot's scores, all rows and heads; they lie KeysPerSplit apart.
    private readonly void Score(in AttentionSequence sequence, int slot, float* key, float* scores)
    {
        int headSize = Operands.HeadSize;
        for (int token = 0; token < sequence.RowCount; token++)
        {
            int row = sequence.FirstRow + token;
            if (slot < Operands.Starts[row] || slot >= Operands.Ends[row]) continue;
            float* query = Operands.Q + row * Operands.QueryStride;
            for (int head = 0; head < Operands.Heads; head++, query += headSize)
            {
                float dot = Lanes.Dot(query, key + (nint)(head / Operands.Group) * headSize, headSize);
                scores[(token * Operands.Heads + head) * KeysPerSplit] = dot * Operands.Scale;
            }
        }
    }

    private readonly void AddFour(float* output, float* value, float* weights)
    {
        nint stride = Operands.KeyStride;
        float* v1 = value + stride, v2 = value + 2 * stride, v3 = value + 3 * stride;
        Vector<float> w0 = new(weights[0]), w1 = new(weights[1]), w2 = new(weights[2]), w3 = new(weights[3]);
        int h = 0;
        for (; h <= Operands.HeadSize - Lanes.Width; h += Lanes.Width)
        {
            Vector<float> sum = Vector.FusedMultiplyAdd(w0, Lanes.Load(value + h), Lanes.Load(output + h));
            sum = Vector.FusedMultiplyAdd(w1, Lanes.Load(v1 + h), sum);
            sum = Vector.FusedMultiplyAdd(w2, Lanes.Load(v2 + h), sum);
            Lanes.Store(Vector.FusedMultiplyAdd(w3, Lanes.Load(v3 + h), sum), output + h);
        }

        for (; h < Operands.HeadSize; h++)
            output[h] += weights[0] * value[h] + weights[1] * v1[h] + weights[2] * v2[h] + weights[3] * v3[h];
    }

    private readonly void AddOne(float* output, float* value, float weight)
    {
        int h = 0;
        for (; h <= Operands.HeadSize - Lanes.Width; h += Lanes.Width)
            Lanes.Store(Vector.FusedMultiplyAdd(new Vector<float>(weight), Lanes.Load(value + h), Lanes.Load(output + h)), output + h);
        for (; h < Operands.HeadSize; h++) output[h] += weight * value[h];
    }

    private static float Maximum(float* scores, int count)
    {
        float largest = float.NegativeInfinity;
        for (int i = 0; i < count; i++) largest = MathF.Max(largest, scores[i]);
        return largest;
    }

    // Scores become exp(score − largest); hidden ones 0. Returns their sum. One exp per key and head is little beside 2·H products.
    private static float Exponentiate(float* scores, int count, float largest)
    {
        float sum = 0;
        for (int i = 0; i < count; i++)
        {
            scores[i] = float.IsNegativeInfinity(scores[i]) ? 0 : MathF.Exp(scores[i] - largest);
            sum += scores[i];
        }

        return sum;
    }
}

/// <summary>Joins the splits of <see cref="AttentionRows"/>, oldest keys first; one part per sequence.</summary>
internal unsafe struct AttentionMerge : IWork
{
    public AttentionOperands Operands;
    public float* Partials, Y, Lse;

    public readonly void Execute(int index)
    {
        ref readonly AttentionSequence sequence = ref Operands.Sequences[index];
        if (!AttentionRows.Suits(sequence, Operands.Group)) return;
        nint part = 0;
        for (int s = 0; s < index; s++)
            if (AttentionRows.Suits(Operands.Sequences[s], Operands.Group)) part += AttentionRows.SplitCount(Operands, Operands.Sequences[s]);
        int splits = AttentionRows.SplitCount(Operands, sequence), stride = AttentionRows.PartialStride(Operands);
        for (int row = 0; row < sequence.RowCount * Operands.Heads; row++)
        {
            float* first = Partials + part * stride + (nint)row * (Operands.HeadSize + 2);
            Join(first, splits, stride, (nint)sequence.FirstRow * Operands.Heads + row);
        }
    }

    private readonly void Join(float* first, int splits, int stride, nint index)
    {
        int headSize = Operands.HeadSize;
        float largest = float.NegativeInfinity, sum = 0;
        for (int i = 0; i < splits; i++) largest = MathF.Max(largest, first[(nint)i * stride + headSize]);
        float* y = Y + index * headSize;
        new Span<float>(y, headSize).Clear();
        for (int i = 0; i < splits; i++)
        {
            float* partial = first + (nint)i * stride;
            if (float.IsNegativeInfinity(partial[headSize])) continue;
            float weight = MathF.Exp(partial[headSize] - largest);
            sum += weight * partial[headSize + 1];
            for (int h = 0; h < headSize; h++) y[h] += weight * partial[h];
        }

        float inverse = sum == 0 ? 0 : 1 / sum;
        for (int h = 0; h < headSize; h++) y[h] *= inverse;
        if (Lse != null) Lse[index] = largest + MathF.Log(sum);
    }
}
