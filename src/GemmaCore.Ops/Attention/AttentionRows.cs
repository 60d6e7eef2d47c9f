using System.Numerics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Forward pass for a few query rows (decoding): lanes run along the head dimension, and the keys are split so that one long sequence
/// keeps all threads busy. Each split leaves an unnormalised output, its largest score and its sum; <see cref="AttentionMerge"/> joins them.
/// </summary>
internal unsafe struct AttentionRows : IWork
{
    /// <summary>Above this a tile fills enough lanes to be faster.</summary>
    public const int MostLanes = 8;

    private const int KeysPerSplit = 512;

    public AttentionOperands Operands;

    /// <summary>[parts, MostLanes, H + 2].</summary>
    public float* Partials;

    public static bool Suits(in AttentionSequence sequence, int group) => (long)sequence.RowCount * group <= MostLanes;

    public static int PartialStride(int headSize) => MostLanes * (headSize + 2);

    public static int SplitCount(in AttentionOperands operands, in AttentionSequence sequence)
    {
        KeyRange visible = operands.Visible(sequence.FirstRow, sequence.FirstRow + sequence.RowCount);
        return Math.Max(1, (visible.End - visible.Start + KeysPerSplit - 1) / KeysPerSplit);
    }

    public static int Count(in AttentionOperands operands)
    {
        int count = 0;
        foreach (ref readonly AttentionSequence sequence in operands.Sequences.AsSpan())
            if (Suits(sequence, operands.Group)) count += SplitCount(operands, sequence) * operands.KeyHeads;
        return count;
    }

    public readonly void Execute(int index)
    {
        int part = index;
        for (int s = 0; ; s++)
        {
            ref readonly AttentionSequence sequence = ref Operands.Sequences[s];
            if (!Suits(sequence, Operands.Group)) continue;
            int splits = SplitCount(Operands, sequence), count = splits * Operands.KeyHeads;
            if (index < count)
            {
                Run(s, index / splits, index % splits, Partials + (nint)part * PartialStride(Operands.HeadSize));
                return;
            }

            index -= count;
        }
    }

    private readonly void Run(int s, int keyHead, int split, float* partial)
    {
        ref readonly AttentionSequence sequence = ref Operands.Sequences[s];
        KeyRange visible = Operands.Visible(sequence.FirstRow, sequence.FirstRow + sequence.RowCount);
        int first = visible.Start + split * KeysPerSplit, end = Math.Min(visible.End, first + KeysPerSplit);
        int lanes = sequence.RowCount * Operands.Group, headSize = Operands.HeadSize;
        float* scores = stackalloc float[MostLanes * KeysPerSplit];
        new Span<float>(scores, lanes * KeysPerSplit).Fill(float.NegativeInfinity);
        Score(sequence, keyHead, first, end, scores);
        for (int lane = 0; lane < lanes; lane++)
        {
            float* mine = partial + lane * (headSize + 2);
            new Span<float>(mine, headSize).Clear();
            mine[headSize] = Maximum(scores + lane * KeysPerSplit, end - first);
            mine[headSize + 1] = Exponentiate(scores + lane * KeysPerSplit, end - first, mine[headSize]);
        }

        WeighValues(sequence, keyHead, first, end, scores, partial);
    }

    private readonly void Score(in AttentionSequence sequence, int keyHead, int first, int end, float* scores)
    {
        int count;
        for (int slot = first; slot < end; slot += count)
        {
            count = Math.Min(Operands.Locate(sequence, slot, keyHead, out float* key, out _), end - slot);
            for (int i = 0; i < count; i++, key += Operands.KeyStride)
            {
                for (int token = 0; token < sequence.RowCount; token++)
                {
                    int row = sequence.FirstRow + token;
                    if (slot + i < Operands.Starts[row] || slot + i >= Operands.Ends[row]) continue;
                    float* query = Operands.Q + row * Operands.QueryStride + (nint)keyHead * Operands.Group * Operands.HeadSize;
                    for (int head = 0; head < Operands.Group; head++)
                    {
                        float dot = Lanes.Dot(query + (nint)head * Operands.HeadSize, key, Operands.HeadSize);
                        scores[(token * Operands.Group + head) * KeysPerSplit + slot - first + i] = dot * Operands.Scale;
                    }
                }
            }
        }
    }

    private readonly void WeighValues(in AttentionSequence sequence, int keyHead, int first, int end, float* scores, float* partial)
    {
        int lanes = sequence.RowCount * Operands.Group, headSize = Operands.HeadSize, count;
        for (int slot = first; slot < end; slot += count)
        {
            // Four values at a time, so that the output is loaded and stored once for four products.
            count = Math.Min(Math.Min(4, Operands.Locate(sequence, slot, keyHead, out _, out float* value)), end - slot);
            for (int lane = 0; lane < lanes; lane++)
            {
                float* output = partial + lane * (headSize + 2), weights = scores + lane * KeysPerSplit + slot - first;
                if (count == 4) AddFour(output, value, weights);
                else for (int i = 0; i < count; i++) AddOne(output, value + i * Operands.KeyStride, weights[i]);
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
        nint part = 0;
        for (int s = 0; s < index; s++)
            if (AttentionRows.Suits(Operands.Sequences[s], Operands.Group))
                part += AttentionRows.SplitCount(Operands, Operands.Sequences[s]) * Operands.KeyHeads;
        ref readonly AttentionSequence sequence = ref Operands.Sequences[index];
        if (!AttentionRows.Suits(sequence, Operands.Group)) return;
        int splits = AttentionRows.SplitCount(Operands, sequence), stride = AttentionRows.PartialStride(Operands.HeadSize);
        for (int row = 0; row < sequence.RowCount; row++)
        {
            for (int head = 0; head < Operands.Heads; head++)
            {
                int lane = row * Operands.Group + head % Operands.Group;
                float* first = Partials + (part + (nint)(head / Operands.Group) * splits) * stride + lane * (Operands.HeadSize + 2);
                Join(first, splits, stride, (nint)(sequence.FirstRow + row) * Operands.Heads + head);
            }
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
