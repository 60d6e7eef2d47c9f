using System.Buffers;
using System.Numerics;
using System.Runtime.InteropServices;
using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>One sequence as the kernels read it: <c>struct Sequence</c> of attention.cu, field by field.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct AttentionTableEntry
{
    public nint PastKeys, PastValues, Pages;
    public int FirstRow, RowCount, PastStart, PastCount, PastRow, Capacity, QueryBlock, KeyBlock, SplitKeys, DecodeRow, PastNarrow;
}

/// <summary>
/// The sequences of a batch in device memory, and what their launches depend on. A sequence of few rows goes to the decoding kernel, the others have
/// tiles; block numbers count blocks of <see cref="AttentionPlan.BlockRows"/> packed rows.
/// </summary>
/// <param name="Entries">[Count] of 72 bytes.</param>
/// <param name="Count">B.</param>
/// <param name="QueryBlocks">Blocks of packed query rows (token · G + head) of one key head.</param>
/// <param name="KeyBlocks">Blocks of slots.</param>
/// <param name="DecodeRows">Rows that the decoding kernel takes.</param>
/// <param name="MostDecodeRows">Most of them in one sequence.</param>
/// <param name="Splits">Most splits of a sequence, as a power of two: the launch stays the same while a sequence grows, and a CUDA graph with it.</param>
/// <param name="DecodesNarrow">True when the past of those that the decoding kernel takes is bfloat16.</param>
internal readonly record struct AttentionTable(
    TensorView Entries, int Count, int QueryBlocks, int KeyBlocks, int DecodeRows, int MostDecodeRows, int Splits, bool DecodesNarrow = false)
{
    private const int EntryBytes = 72;

    /// <summary>Puts the table into scratch memory.</summary>
    public static AttentionTable Upload(CudaDevice cuda, in AttentionInputs inputs, bool decodes)
    {
        int count = inputs.Sequences.Length;
        TensorView view = cuda.Scratch.Take(new Shape(count, EntryBytes), DType.U8);
        AttentionTableEntry[] entries = ArrayPool<AttentionTableEntry>.Shared.Rent(count);
        AttentionTable table = Describe(inputs.Sequences, inputs.Group, inputs.KeyHeads, cuda.MultiprocessorCount, decodes, entries);
        cuda.CopyFromHost(MemoryMarshal.AsBytes(entries.AsSpan(0, count)), view);
        ArrayPool<AttentionTableEntry>.Shared.Return(entries);
        return table with { Entries = view };
    }

    /// <summary>Fills the entries. Touches no device.</summary>
    public static AttentionTable Describe(
        ReadOnlySpan<AttentionSequence> sequences, int group, int keyHeads, int multiprocessors, bool decodes, Span<AttentionTableEntry> entries)
    {
        int queryBlocks = 0, keyBlocks = 0, decodeRows = 0, mostDecodeRows = 0, splits = 0;
        bool decodesNarrow = false;
        for (int i = 0; i < sequences.Length; i++)
        {
            ref readonly AttentionSequence sequence = ref sequences[i];
            int slots = sequence.PastCount + sequence.RowCount, capacity = sequence.Capacity;
            bool decode = decodes && sequence.RowCount is > 0 and <= AttentionPlan.MostDecodeRows;
            int splitKeys = decode ? AttentionPlan.SplitKeys(slots, keyHeads, multiprocessors) : 0;
            entries[i] = new AttentionTableEntry
            {
                PastKeys = sequence.PastKeys.Pointer, PastValues = sequence.PastValues.Pointer, Pages = sequence.Pages.Pointer,
                FirstRow = sequence.FirstRow, RowCount = sequence.RowCount, PastStart = sequence.PastStart, PastCount = sequence.PastCount,
                PastRow = capacity == 0 ? 0 : sequence.PastStart % capacity, Capacity = capacity,
                QueryBlock = queryBlocks, KeyBlock = keyBlocks, SplitKeys = splitKeys, DecodeRow = decodeRows,
                PastNarrow = sequence.IsNarrow ? 1 : 0,
            };
            if (decode)
            {
                decodeRows += sequence.RowCount;
                decodesNarrow |= sequence.IsNarrow;
                mostDecodeRows = Math.Max(mostDecodeRows, sequence.RowCount);
                splits = Math.Max(splits, (slots + splitKeys - 1) / splitKeys);
            }
            else
            {
                queryBlocks = checked(queryBlocks + Blocks((long)sequence.RowCount * group));
                if (sequence.RowCount > 0) keyBlocks = checked(keyBlocks + Blocks(slots));
            }
        }

        return new AttentionTable(
            default, sequences.Length, queryBlocks, keyBlocks, decodeRows, mostDecodeRows, (int)BitOperations.RoundUpToPowerOf2((uint)splits), decodesNarrow);
    }

    private static int Blocks(long rows) => checked((int)((rows + AttentionPlan.BlockRows - 1) / AttentionPlan.BlockRows));
}
