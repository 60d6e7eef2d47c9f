using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Ops.Tests;

/// <summary>Packed batches, the past in ring buffers, and what is refused.</summary>
public sealed class AttentionSequenceTests
{
    private const int Heads = 4, KeyHeads = 2, HeadSize = 20;

    [Fact]
    public void A_batch_of_unequal_sequences_equals_each_alone()
    {
        AttentionCase[] alone = [.. new[] { 1, 70, 3, 33, 128 }.Select((rows, i) => AttentionCase.Causal((ulong)i + 20, rows, Heads, KeyHeads, HeadSize))];
        var batch = new AttentionCase(1, Heads, KeyHeads, HeadSize, [.. alone.SelectMany(c => c.Start)], [.. alone.SelectMany(c => c.End)]);
        var sequences = new AttentionSequence[alone.Length];
        for (int i = 0, row = 0; i < alone.Length; row += alone[i++].Rows)
        {
            sequences[i] = new AttentionSequence(row, alone[i].Rows);
            alone[i].Q.CopyTo(batch.Q, row * Heads * HeadSize);
            alone[i].DY.CopyTo(batch.DY, row * Heads * HeadSize);
            alone[i].K.CopyTo(batch.K, row * KeyHeads * HeadSize);
            alone[i].V.CopyTo(batch.V, row * KeyHeads * HeadSize);
        }

        using OpFixture fixture = new(), training = new();
        (float[] y, float[] lse) = batch.Forward(fixture, sequences);
        float[][] gradients = batch.Backward(training, sequences);
        for (int i = 0; i < alone.Length; i++)
        {
            using OpFixture single = new(), singleTraining = new();
            (float[] expected, float[] expectedLse) = alone[i].Forward(single);
            int row = sequences[i].FirstRow, stride = Heads * HeadSize;
            Assert.Equal(expected, y.AsSpan(row * stride, expected.Length));
            Assert.Equal(expectedLse, lse.AsSpan(row * Heads, expectedLse.Length));
            float[][] expectedGradients = alone[i].Backward(singleTraining);
            for (int g = 0; g < 3; g++, stride = KeyHeads * HeadSize)
                Assert.Equal(expectedGradients[g], gradients[g].AsSpan(row * stride, expectedGradients[g].Length));
        }
    }

    // Chunks of 1 (splits over keys) and 37 (tiles); ring capacities that wrap at an odd place, and one that never does.
    [Theory]
    [InlineData(1, 29, 30)]
    [InlineData(1, int.MaxValue, 1300)]
    [InlineData(37, 50, 53)]
    [InlineData(37, int.MaxValue, 1300)]
    public void Reading_on_from_a_ring_buffer_equals_the_full_forward(int chunk, int window, int capacity)
    {
        int rows = window == int.MaxValue ? 1200 : 200;
        AttentionCase whole = AttentionCase.Causal(30, rows, Heads, KeyHeads, HeadSize, window);
        using var fixture = new OpFixture();
        float[] expected = whole.Forward(fixture).Y;
        int past = rows - chunk, kept = Math.Min(past, window - 1), stride = KeyHeads * HeadSize;
        var ring = new Shape(capacity, KeyHeads, HeadSize);
        TensorView keys = fixture.Empty(ring), values = fixture.Empty(ring);
        for (int slot = past - kept; slot < past; slot++)
        {
            whole.K.AsSpan(slot * stride, stride).CopyTo(keys.AsSpan<float>()[(slot % capacity * stride)..]);
            whole.V.AsSpan(slot * stride, stride).CopyTo(values.AsSpan<float>()[(slot % capacity * stride)..]);
        }

        var tail = new AttentionCase(1, Heads, KeyHeads, HeadSize, whole.Start[past..], whole.End[past..]);
        whole.Q.AsSpan(past * Heads * HeadSize).CopyTo(tail.Q);
        whole.K.AsSpan(past * stride).CopyTo(tail.K);
        whole.V.AsSpan(past * stride).CopyTo(tail.V);
        float[] y = tail.Forward(fixture, new AttentionSequence(0, chunk, keys, values, past - kept, kept)).Y;
        Assert.InRange(Tolerance.RelativeError(y, expected.AsSpan(past * Heads * HeadSize)), 0, 2 * Tolerance.Float32(rows));
    }

    [Fact]
    public void Decoding_allocates_nothing()
    {
        using var fixture = new OpFixture();
        AttentionCase c = AttentionCase.Causal(31, 1, Heads, KeyHeads, HeadSize);
        TensorView q = fixture.Of(c.QueryShape, c.Q), k = fixture.Of(c.KeyShape, c.K), v = fixture.Of(c.KeyShape, c.V), y = fixture.Empty(c.QueryShape);
        TensorView start = fixture.Ints(0), end = fixture.Ints(1);
        AttentionSequence[] sequences = [new(0, 1)];
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
    public void A_past_without_ring_buffers_is_refused() => Refused("past keys of sequence 0 must be f32", sequences: [new(0, 2, PastCount: 1)]);

    [Fact]
    public void A_past_under_a_tape_is_refused() => Refused("which no gradient can reach", sequences: [new(0, 2, PastCount: 1)], taped: true);

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
