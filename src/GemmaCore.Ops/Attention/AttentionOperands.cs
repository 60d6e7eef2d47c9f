using System.Runtime.Intrinsics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>What every part of an attention pass reads, as addresses and sizes.</summary>
internal readonly unsafe struct AttentionOperands
{
    public AttentionOperands(in AttentionInputs inputs)
    {
        Q = inputs.Q.Floats;
        K = inputs.K.Floats;
        V = inputs.V.Floats;
        Starts = inputs.KeyStart.Ints;
        Ends = inputs.KeyEnd.Ints;
        (Heads, KeyHeads, HeadSize, Group) = (inputs.Heads, inputs.KeyHeads, inputs.HeadSize, inputs.Group);
        Sequences = inputs.Sequences;
        Scale = inputs.Scale;
    }

    /// <summary>[T, N, H].</summary>
    public float* Q { get; }

    /// <summary>[T, K, H], the current rows.</summary>
    public float* K { get; }

    /// <inheritdoc cref="K"/>
    public float* V { get; }

    /// <summary>[T]: first visible slot of every row.</summary>
    public int* Starts { get; }

    /// <summary>[T]: slot after the last visible one.</summary>
    public int* Ends { get; }

    public AttentionSequence[] Sequences { get; }

    public float Scale { get; }

    public int Heads { get; }

    public int KeyHeads { get; }

    public int HeadSize { get; }

    /// <summary>Query heads that share a key head.</summary>
    public int Group { get; }

    /// <summary>Floats from a token's queries to the next token's.</summary>
    public nint QueryStride => (nint)Heads * HeadSize;

    /// <summary>Floats from a key to the next slot's key.</summary>
    public nint KeyStride => (nint)KeyHeads * HeadSize;

    /// <summary>Address of a slot's key and value in f32, and how many slots follow at <see cref="KeyStride"/> (itself included).</summary>
    public int Locate(in AttentionSequence sequence, int slot, int keyHead, out float* key, out float* value)
    {
        nint offset = (nint)keyHead * HeadSize;
        int current = slot - sequence.FirstSlot;
        if (current >= 0)
        {
            offset += (sequence.FirstRow + current) * KeyStride;
            key = K + offset;
            value = V + offset;
            return sequence.RowCount - current;
        }

        offset += PastRow(sequence, slot, out int run) * KeyStride;
        key = sequence.PastKeys.Floats + offset;
        value = sequence.PastValues.Floats + offset;
        return Math.Min(run, -current);
    }

    /// <summary>
    /// Slots from <paramref name="slot"/> on that <see cref="Rows"/> gives at once: what lies in pages or in 16 bits is copied together first, so that a block of keys is
    /// as long as anywhere else, wherever they lie.
    /// </summary>
    public int RunOf(in AttentionSequence sequence, int slot) =>
        IsCopied(sequence, slot) ? sequence.FirstSlot - slot : Locate(sequence, slot, 0, out _, out _);

    /// <summary>Keys or values of <paramref name="count"/> slots, at most <see cref="RunOf"/>.</summary>
    /// <param name="sequence">Whose slots.</param>
    /// <param name="slot">The first one.</param>
    /// <param name="count">How many.</param>
    /// <param name="part">Which rows, which of their columns.</param>
    /// <param name="memory">Room for <paramref name="count"/> · <see cref="RowPart.Width"/> floats.</param>
    /// <param name="stride">Floats from one slot to the next.</param>
    public float* Rows(in AttentionSequence sequence, int slot, int count, RowPart part, float* memory, out nint stride)
    {
        if (!IsCopied(sequence, slot))
        {
            stride = KeyStride;
            Locate(sequence, slot, 0, out float* key, out float* value);
            return (part.IsValue ? value : key) + part.First;
        }

        stride = part.Width;
        TensorView past = part.IsValue ? sequence.PastValues : sequence.PastKeys;
        for (int i = 0; i < count; i++)
        {
            nint at = PastRow(sequence, slot + i, out _) * KeyStride + part.First;
            float* to = memory + (i * stride);
            if (sequence.IsNarrow) Widen((ushort*)past.Pointer + at, to, part.Width);
            else new ReadOnlySpan<float>(past.Floats + at, part.Width).CopyTo(new Span<float>(to, part.Width));
        }

        return memory;
    }

    private static bool IsCopied(in AttentionSequence sequence, int slot) => slot < sequence.FirstSlot && (sequence.IsNarrow || !sequence.Pages.IsEmpty);

    // The row of a past slot in the ring or the pool, and how many follow it there.
    private static nint PastRow(in AttentionSequence sequence, int slot, out int run)
    {
        int capacity = sequence.Capacity, ring = slot % capacity;
        run = capacity - ring;
        if (sequence.Pages.IsEmpty) return ring;
        (int page, int row) = Math.DivRem(ring, AttentionSequence.PageRows);
        run = AttentionSequence.PageRows - row;
        return (sequence.Pages.Ints[page] * AttentionSequence.PageRows) + row;
    }

    private static void Widen(ushort* from, float* to, int count)
    {
        int i = 0;
        for (; i <= count - Vector256<float>.Count; i += Vector256<float>.Count) (Halves.Widen(Vector128.Load(from + i)) << 16).AsSingle().Store(to + i);
        for (; i < count; i++) to[i] = BFloat16.ToSingle(from[i]);
    }

    /// <summary>The slots that rows [first, end) of the packed batch see between them, and those that all of them see.</summary>
    public KeyRange Visible(int first, int end)
    {
        int start = int.MaxValue, stop = 0, lastStart = 0, firstEnd = int.MaxValue;
        for (int row = first; row < end; row++)
        {
            if (Starts[row] < Ends[row])
            {
                start = Math.Min(start, Starts[row]);
                stop = Math.Max(stop, Ends[row]);
            }

            lastStart = Math.Max(lastStart, Starts[row]);
            firstEnd = Math.Min(firstEnd, Ends[row]);
        }

        return new KeyRange(Math.Min(start, stop), stop, lastStart, firstEnd);
    }
}

/// <summary>Columns [First, First + Width) of key or value rows: a head's, or those of all heads.</summary>
internal readonly record struct RowPart(int First, int Width, bool IsValue);

/// <summary>Slots [Start, End) are seen by some row of a tile; [CommonStart, CommonEnd) by every row.</summary>
internal readonly record struct KeyRange(int Start, int End, int CommonStart, int CommonEnd)
{
    /// <summary>True when a block of slots needs no masking.</summary>
    public bool Covers(int slot, int count) => slot >= CommonStart && slot + count <= CommonEnd;
}

/// <summary>
/// A tile of queries: some tokens of one sequence with all query heads of one key head, so that a key is read once for the group.
/// Lane = token · Group + head; lanes are padded to whole pairs of vectors.
/// </summary>
internal readonly struct QueryTile
{
    // Four vectors of 512 bits. With head size 256 the packed queries and the running output take 128 KiB of second-level cache.
    private const int LanesPerTile = 64;

    private QueryTile(in AttentionOperands operands, int sequence, int keyHead, int firstToken, int tokens)
    {
        (Sequence, KeyHead, Group) = (sequence, keyHead, operands.Group);
        (FirstRow, TokenCount) = (operands.Sequences[sequence].FirstRow + firstToken, tokens);
    }

    public int Sequence { get; }

    public int KeyHead { get; }

    public int Group { get; }

    /// <summary>First row in the packed batch.</summary>
    public int FirstRow { get; }

    public int TokenCount { get; }

    public int Lanes => TokenCount * Group;

    public static int TokensPerTile(int group) => Math.Max(1, LanesPerTile / group);

    /// <summary>Tiles of one sequence, all key heads.</summary>
    public static int Count(in AttentionOperands operands, in AttentionSequence sequence)
    {
        int tokens = TokensPerTile(operands.Group);
        return (sequence.RowCount + tokens - 1) / tokens * operands.KeyHeads;
    }

    /// <summary>Tile <paramref name="index"/> of a sequence; the last tokens, which usually see most, come first.</summary>
    public static QueryTile Of(in AttentionOperands operands, int sequence, int index)
    {
        int tokens = TokensPerTile(operands.Group), rows = operands.Sequences[sequence].RowCount;
        int tile = (rows + tokens - 1) / tokens - 1 - index / operands.KeyHeads;
        return new QueryTile(operands, sequence, index % operands.KeyHeads, tile * tokens, Math.Min(tokens, rows - tile * tokens));
    }

    /// <summary>Lanes rounded up to pairs of vectors.</summary>
    public static int Padded(int lanes, int vector) => (lanes + 2 * vector - 1) / (2 * vector) * (2 * vector);
}
