using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Ops.Tests;

/// <summary>Packed batches, the past in ring buffers, and what is refused.</summary>
public sealed class AttentionSequenceTests
{
    private const int Heads = 4, KeyHeads = 2;

    // The size of the f32 kernels and one of the tensor-core kernels.
    public static IEnumerable<(string, int)> HeadSizes => [.. TestDevices.Spread([20, 64]), .. AttentionMaskTests.WideHeads];

    // Head size, chunk, window, ring capacity, pages, bf16. Chunks of 1 and 16 (splits over keys) and 37 (tiles); capacities that wrap at an odd place, that hold
    // exactly what is kept, and one that never wraps. Splits of a card are 64 slots at least, so 200 slots are several.
    public static IEnumerable<(string, int, int, int, int, bool, bool)> Rings =>
        from row in TestDevices.Spread<(int HeadSize, int Chunk, int Window, int Capacity, bool Paged, bool Narrow)>(
        [
            (20, 1, 29, 30, false, false), (20, 1, int.MaxValue, 300, false, false), (20, 37, 50, 53, false, false), (64, 37, int.MaxValue, 250, false, false),
            (64, 37, 50, 49, false, false), (64, 16, 150, 151, false, false), (256, 1, 190, 192, true, false), (64, 37, 70, 80, true, false), (20, 3, 29, 32, true, false),
            (20, 40, 70, 96, true, false), (20, 1, 29, 30, false, true), (18, 37, 50, 53, false, true), (64, 16, 150, 160, true, true), (256, 2, 190, 192, true, true),
            (64, 37, 70, 80, true, true), (256, 40, 70, 96, true, true), (18, 3, 29, 32, true, true),
        ])
        select (row.Device, row.Case.HeadSize, row.Case.Chunk, row.Case.Window, row.Case.Capacity, row.Case.Paged, row.Case.Narrow);

    [Theory]
    [MemberData(nameof(HeadSizes))]
    public void A_batch_of_unequal_sequences_equals_each_alone(string device, int headSize)
    {
        AttentionCase[] alone = [.. new[] { 1, 70, 3, 33, 128 }.Select((rows, i) => AttentionCase.Causal((ulong)i + 20, rows, Heads, KeyHeads, headSize))];
        var batch = new AttentionCase(1, Heads, KeyHeads, headSize, [.. alone.SelectMany(c => c.Start)], [.. alone.SelectMany(c => c.End)]);
        var sequences = new AttentionSequence[alone.Length];
        for (int i = 0, row = 0; i < alone.Length; row += alone[i++].Rows)
        {
            sequences[i] = new AttentionSequence(row, alone[i].Rows);
            alone[i].Q.CopyTo(batch.Q, row * Heads * headSize);
            alone[i].DY.CopyTo(batch.DY, row * Heads * headSize);
            alone[i].K.CopyTo(batch.K, row * KeyHeads * headSize);
            alone[i].V.CopyTo(batch.V, row * KeyHeads * headSize);
        }

        using var fixture = new OpFixture(device);
        (float[] y, float[] lse) = batch.Forward(fixture, sequences);
        float[][] gradients = batch.Backward(fixture, sequences);
        for (int i = 0; i < alone.Length; i++)
        {
            (float[] expected, float[] expectedLse) = alone[i].Forward(fixture);
            int row = sequences[i].FirstRow, stride = Heads * headSize;
            Assert.Equal(expected, y.AsSpan(row * stride, expected.Length));
            Assert.Equal(expectedLse, lse.AsSpan(row * Heads, expectedLse.Length));
            float[][] expectedGradients = alone[i].Backward(fixture);
            for (int g = 0; g < 3; g++, stride = KeyHeads * headSize)
                Assert.Equal(expectedGradients[g], gradients[g].AsSpan(row * stride, expectedGradients[g].Length));
        }
    }

    [Theory]
    [MemberData(nameof(Rings))]
    public void Reading_on_from_a_ring_buffer_equals_the_full_forward(string device, int headSize, int chunk, int window, int capacity, bool paged, bool narrow)
    {
        AttentionCase whole = AttentionCase.Causal(30, 240, Heads, KeyHeads, headSize, window);
        // Numbers that bf16 holds, so that it loses nothing.
        foreach (float[] rows in narrow ? (float[][])[whole.K, whole.V] : [])
            for (int i = 0; i < rows.Length; i++) rows[i] = BFloat16.ToSingle(BFloat16.FromSingle(rows[i]));
        double[] expected = whole.Reference();
        int past = whole.Rows - chunk, kept = Math.Min(past, window - 1), stride = KeyHeads * headSize;
        int[] pages = paged ? PageOrder(capacity / AttentionSequence.PageRows) : [];
        float[] keys = Filled(capacity * stride), values = Filled(capacity * stride);
        for (int slot = past - kept; slot < past; slot++)
        {
            int row = slot % capacity;
            if (paged) row = pages[row / AttentionSequence.PageRows] * AttentionSequence.PageRows + row % AttentionSequence.PageRows;
            whole.K.AsSpan(slot * stride, stride).CopyTo(keys.AsSpan(row * stride));
            whole.V.AsSpan(slot * stride, stride).CopyTo(values.AsSpan(row * stride));
        }

        var tail = new AttentionCase(1, Heads, KeyHeads, headSize, whole.Start[past..], whole.End[past..]);
        whole.Q.AsSpan(past * Heads * headSize).CopyTo(tail.Q);
        whole.K.AsSpan(past * stride).CopyTo(tail.K);
        whole.V.AsSpan(past * stride).CopyTo(tail.V);
        using var fixture = new OpFixture(device);
        var ring = new Shape(capacity, KeyHeads, headSize);
        var sequence = new AttentionSequence(
            0, chunk, Past(keys), Past(values), past - kept, kept, paged ? fixture.Ints(pages) : default);
        TensorView Past(float[] rows) => narrow ? fixture.Weights(ring, rows, DType.BF16) : fixture.Of(ring, rows);
        float[] y = tail.Forward(fixture, sequence).Y;
        Assert.InRange(
            Tolerance.RelativeError(y, expected.AsSpan(past * Heads * headSize)), 0, tail.ForwardBound(fixture.Device) + Tolerance.Float32(whole.Rows));
    }

    // One sequence of a batch decodes from a paged ring, one reads its prompt, one has both and no rows: each as if it were alone.
    [Theory]
    [MemberData(nameof(HeadSizes))]
    public void Decoding_and_reading_mix_in_one_batch(string device, int headSize)
    {
        AttentionCase decode = AttentionCase.Causal(41, 90, Heads, KeyHeads, headSize), prompt = AttentionCase.Causal(42, 37, Heads, KeyHeads, headSize);
        int stride = KeyHeads * headSize, queries = Heads * headSize, past = 89;
        var batch = new AttentionCase(1, Heads, KeyHeads, headSize, [decode.Start[past], .. prompt.Start], [decode.End[past], .. prompt.End]);
        decode.Q.AsSpan(past * queries).CopyTo(batch.Q);
        decode.K.AsSpan(past * stride).CopyTo(batch.K);
        decode.V.AsSpan(past * stride).CopyTo(batch.V);
        prompt.Q.CopyTo(batch.Q, queries);
        prompt.K.CopyTo(batch.K, stride);
        prompt.V.CopyTo(batch.V, stride);
        using var fixture = new OpFixture(device);
        var ring = new Shape(past, KeyHeads, headSize);
        TensorView keys = fixture.Of(ring, decode.K[..(past * stride)]), values = fixture.Of(ring, decode.V[..(past * stride)]);
        float[] y = batch.Forward(
            fixture, new AttentionSequence(0, 1, keys, values, 0, past), new AttentionSequence(1, 0, keys, values, 0, past), new AttentionSequence(1, 37)).Y;
        double bound = batch.ForwardBound(fixture.Device) + Tolerance.Float32(past);
        Assert.InRange(Tolerance.RelativeError(y.AsSpan(0, queries), decode.Reference().AsSpan(past * queries)), 0, bound);
        Assert.InRange(Tolerance.RelativeError(y.AsSpan(queries), prompt.Reference()), 0, bound);
    }

    // Slots of a sequence that has forgotten its beginning, and no past at all: they count from PastStart.
    [Theory]
    [MemberData(nameof(HeadSizes))]
    public void Slots_count_from_the_start_of_the_past(string device, int headSize)
    {
        AttentionCase here = AttentionCase.Causal(43, 40, Heads, KeyHeads, headSize), later = AttentionCase.Causal(43, 40, Heads, KeyHeads, headSize);
        for (int i = 0; i < 40; i++) (later.Start[i], later.End[i]) = (later.Start[i] + 1000, later.End[i] + 1000);
        using var fixture = new OpFixture(device);
        Assert.Equal(here.Forward(fixture).Y, later.Forward(fixture, new AttentionSequence(0, 40, PastStart: 1000)).Y);
        float[][] expected = here.Backward(fixture), ours = later.Backward(fixture, new AttentionSequence(0, 40, PastStart: 1000));
        for (int i = 0; i < 3; i++) Assert.Equal(expected[i], ours[i]);
    }

    [Theory]
    [InlineData("cpu")]
    [InlineData("t4/round_robin")]
    public void Decoding_allocates_nothing(string device)
    {
        using var fixture = new OpFixture(device);
        AttentionCase c = AttentionCase.Causal(31, 1, Heads, KeyHeads, 20);
        TensorView q = fixture.Of(c.QueryShape, c.Q), k = fixture.Of(c.KeyShape, c.K), v = fixture.Of(c.KeyShape, c.V), y = fixture.Empty(c.QueryShape);
        TensorView ring = fixture.Of(new Shape(100, KeyHeads, 20), new float[100 * KeyHeads * 20]);
        TensorView start = fixture.Ints(0), end = fixture.Ints(101);
        AttentionSequence[] sequences = [new(0, 1, ring, ring, 0, 100)];
        void Decode() => Attention.Forward(q, k, v, sequences, start, end, 1, y, default, null);
        Decode();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++) Decode();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void Key_heads_that_do_not_divide_the_query_heads_are_refused() => Refused(
        "k must be [2, K, 8] with K a divisor of 4, got f32[2, 3, 8]@cpu", keys: new Shape(2, 3, 8));

    [Fact]
    public void Sequences_that_leave_rows_out_are_refused() => Refused(
        "the sequences must cover all 2 rows, they end at row 1", sequences: [new(0, 1)]);

    [Fact]
    public void Sequences_that_overlap_are_refused() => Refused("sequence 1 must begin at row 1", sequences: [new(0, 1), new(0, 2)]);

    [Fact]
    public void An_interval_beyond_the_sequence_is_refused() => Refused("row 1 may see slots [0, 2), its interval is [0, 3)", lastEnd: 3);

    [Fact]
    public void A_past_without_ring_buffers_is_refused() => Refused("past keys of sequence 0 must be f32 or bf16", sequences: [new(0, 2, PastCount: 1)]);

    [Fact]
    public void Pasts_of_two_formats_in_one_batch_are_refused()
    {
        using var fixture = new OpFixture();
        TensorView wide = fixture.Of(new Shape(4, 2, 8), new float[64]), narrow = fixture.Weights(new Shape(4, 2, 8), new float[64], DType.BF16);
        Refused("past keys of sequence 1 must be F32 as those of the sequences before", sequences: [new(0, 1, wide, wide, 0, 1), new(1, 1, narrow, narrow, 0, 1)]);
        Refused("past values of sequence 0 must be like", sequences: [new(0, 2, wide, narrow, 0, 1)]);
    }

    [Fact]
    public void A_past_under_a_tape_is_refused() => Refused("which no gradient can reach", sequences: [new(0, 2, PastCount: 1)], taped: true);

    [Fact]
    public void Pages_that_do_not_hold_the_past_are_refused()
    {
        using var fixture = new OpFixture();
        TensorView pool = fixture.Empty(new Shape(64, 2, 8)), pages = fixture.Ints(3, 1);
        Refused("pages of sequence 0 must be i32 and hold 33 slots of 16 a page", sequences: [new(0, 2, pool, pool, 0, 33, pages)]);
    }

    private static float[] Filled(int count)
    {
        var values = new float[count];
        Array.Fill(values, float.NaN);
        return values;
    }

    // Some permutation without a fixed pattern of neighbours.
    private static int[] PageOrder(int count) => [.. Enumerable.Range(0, count).OrderBy(page => page * 7 % 5 * count - page)];

    private static void Refused(string message, Shape? keys = null, AttentionSequence[]? sequences = null, int lastEnd = 2, bool taped = false)
    {
        using var fixture = new OpFixture();
        TensorView q = fixture.Empty(new Shape(2, 4, 8)), k = fixture.Empty(keys ?? new Shape(2, 2, 8)), y = fixture.Empty(q.Shape);
        TensorView start = fixture.Ints(0, 0), end = fixture.Ints(1, lastEnd), lse = fixture.Empty(new Shape(2, 4));
        var error = Assert.Throws<ShapeException>(
            () => Attention.Forward(q, k, k, sequences ?? [new(0, 2)], start, end, 1, y, lse, taped ? fixture.Tape : null));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }
}
