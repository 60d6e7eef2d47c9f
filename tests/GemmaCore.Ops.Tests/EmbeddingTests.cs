using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class EmbeddingTests
{
    // Tokens, width, floats of y past an aligned address: one; primes; one past a vector; one past a row block's worth; whole vectors, several turns
    // of a block, aligned and not.
    public static IEnumerable<(string, DType, int, int, int)> Cases =>
        from row in TestDevices.Spread<(DType Type, int Tokens, int Columns, int Shift)>(
            from type in new[] { DType.F32, DType.BF16, DType.F16 }
            from size in new (int Tokens, int Columns, int Shift)[] { (1, 1, 0), (3, 7, 0), (2, 33, 0), (129, 131, 0), (3, 1160, 0), (3, 40, 1) }
            select (type, size.Tokens, size.Columns, size.Shift))
        select (row.Device, row.Case.Type, row.Case.Tokens, row.Case.Columns, row.Case.Shift);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Forward_matches_the_reference(string device, DType type, int tokens, int columns, int shift)
    {
        const int vocabulary = 11;
        using var fixture = new OpFixture(device);
        var sample = new Sample(1);
        TensorView table = fixture.Weights(new Shape(vocabulary, columns), sample.Floats(vocabulary * columns), type);
        int[] ids = [.. Enumerable.Range(0, tokens).Select(_ => sample.Below(vocabulary))];
        TensorView y = fixture.Empty(new Shape(tokens, columns), shift);

        Embedding.Forward(fixture.Ints(ids), table, 11.3125f, y);

        double[] expected = EmbeddingReference.Forward(ids, Sample.Widen(table.ToFloats()), columns, 11.3125);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(1));
    }

    [Theory]
    [InlineData(DType.F32, 4)]
    [InlineData(DType.BF16, 2)]
    [InlineData(DType.F16, 2)]
    public void A_mapped_table_may_start_at_any_byte(DType type, int size)
    {
        using var fixture = new OpFixture();
        float[] values = new Sample(2).Floats(3 * 19);
        TensorView aligned = fixture.Weights(new Shape(3, 19), values, type), memory = fixture.Empty(new Shape(3 * 19 + 1));
        var shifted = new TensorView(memory.Pointer + 1, new Shape(3, 19), type, fixture.Device);
        Copy(aligned, shifted, 3 * 19 * size);
        TensorView ids = fixture.Ints(2, 0, 1), y = fixture.Empty(new Shape(3, 19)), expected = fixture.Empty(new Shape(3, 19));

        Embedding.Forward(ids, shifted, 2, y);
        Embedding.Forward(ids, aligned, 2, expected);

        Assert.Equal(expected.ToFloats(), y.ToFloats());
    }

    [Theory]
    [InlineData(5)]
    [InlineData(-1)]
    public void An_id_outside_the_table_is_refused(int id)
    {
        using var fixture = new OpFixture();
        var error = Assert.Throws<ShapeException>(
            () => Embedding.Forward(fixture.Ints(0, id), fixture.Empty(new Shape(5, 3)), 1, fixture.Empty(new Shape(2, 3))));
        Assert.Contains($"id {id} at row 1 is not in the table of 5 rows", error.Message, StringComparison.Ordinal);
    }

    public static TheoryData<string> Cards => [.. TestDevices.Cards()];

    [Theory]
    [MemberData(nameof(Cards))]
    public void An_id_outside_the_table_makes_a_row_of_NaN_on_a_card(string device)
    {
        using var fixture = new OpFixture(device);
        TensorView y = fixture.Of(new Shape(3, 2), new float[6]);

        Embedding.Forward(fixture.Ints(5, 1, -1), fixture.Of(new Shape(5, 2), [0, 0, 1, 2, 0, 0, 0, 0, 0, 0]), 1, y);

        Assert.Equal([float.NaN, float.NaN, 1, 2, float.NaN, float.NaN], y.ToFloats());
    }

    public static IEnumerable<(string, int, int, int)> Int8Shapes =>
        from row in TestDevices.Spread<(int Tokens, int Columns, int Shift)>([(1, 1, 0), (3, 8, 0), (5, 264, 0), (2, 264, 1), (7, 33, 0), (4, 1160, 0), (6, 192, 0), (2, 64, 1)])
        select (row.Device, row.Case.Tokens, row.Case.Columns, row.Case.Shift);

    [Theory]
    [MemberData(nameof(Int8Shapes))]
    public void Rows_of_8_bits_give_what_they_stand_for(string device, int tokens, int columns, int shift)
    {
        int vocabulary = columns % 64 == 0 ? 48 : 11; // in tiles on a card, and not
        using var fixture = new OpFixture(device);
        using var table = new QuantizedSample(fixture.Device, new Shape(vocabulary, columns), seed: 4);
        var sample = new Sample(5);
        int[] ids = [.. Enumerable.Range(0, tokens).Select(_ => sample.Below(vocabulary))];
        TensorView y = fixture.Empty(new Shape(tokens, columns), shift);

        Embedding.Forward(fixture.Ints(ids), table.Int8, 11.3125f, y);

        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), EmbeddingReference.Forward(ids, table.DenseInt8, columns, 11.3125)), 0, Tolerance.Float32(1));
    }

    [Theory]
    [MemberData(nameof(Cards))]
    public void A_card_looks_8_bit_rows_up_to_the_bits_of_the_CPU(string card)
    {
        float[] On(string device)
        {
            using var fixture = new OpFixture(device);
            using var table = new QuantizedSample(fixture.Device, new Shape(9, 72), seed: 6);
            TensorView y = fixture.Empty(new Shape(4, 72));
            Embedding.Forward(fixture.Ints(8, 0, 3, 3), table.Int8, 1.7f, y);
            return y.ToFloats();
        }

        Assert.Equal(On("cpu"), On(card));
    }

    [Theory]
    [MemberData(nameof(Cards))]
    public void An_id_outside_a_table_of_8_bits_makes_NaN_on_a_card_and_is_refused_on_the_CPU(string card)
    {
        using OpFixture onCpu = new(), onCard = new(card);
        using QuantizedSample small = new(onCpu.Device, new Shape(5, 2), seed: 7), same = new(onCard.Device, new Shape(5, 2), seed: 7);
        Assert.Contains(
            "id 5 at row 1 is not in the table of 5 rows",
            Assert.Throws<ShapeException>(() => Embedding.Forward(onCpu.Ints(0, 5), small.Int8, 1, onCpu.Empty(new Shape(2, 2)))).Message, StringComparison.Ordinal);
        TensorView y = onCard.Of(new Shape(2, 2), new float[4]);
        Embedding.Forward(onCard.Ints(1, -1), same.Int8, 1, y);
        Assert.Equal([false, false, true, true], y.ToFloats().Select(float.IsNaN));
    }

    [Fact]
    public void A_table_that_has_no_rows_to_look_up_is_refused()
    {
        using var fixture = new OpFixture();
        using var table = new QuantizedSample(fixture.Device, new Shape(5, 64), seed: 8);
        Assert.Contains(
            "must be dense or int8, got nf4[5, 64]",
            Assert.Throws<ShapeException>(() => Embedding.Forward(fixture.Ints(1), table.Nf4, 1, fixture.Empty(new Shape(1, 64)))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView ids = fixture.Ints(0, 1), table = fixture.Empty(new Shape(5, 3)), y = fixture.Empty(new Shape(2, 3));
        string Refusal(TensorView i, TensorView t, TensorView o) => Assert.Throws<ShapeException>(() => Embedding.Forward(i, t, 1, o)).Message;
        Assert.Contains("table must be a float matrix", Refusal(ids, ids, y), StringComparison.Ordinal);
        Assert.Contains("y must be f32[2, 3], got f32[2, 4]@cpu", Refusal(ids, table, fixture.Empty(new Shape(2, 4))), StringComparison.Ordinal);
        Assert.Contains("ids must hold 2 i32 values", Refusal(fixture.Ints(1), table, y), StringComparison.Ordinal);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        var sample = new Sample(3);
        float[] table = sample.Floats(7 * 129);
        int[] ids = [.. Enumerable.Range(0, 500).Select(_ => sample.Below(7))];
        float[] Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            TensorView y = fixture.Empty(new Shape(500, 129));
            Embedding.Forward(fixture.Ints(ids), fixture.Of(new Shape(7, 129), table), 3, y);
            return y.ToFloats();
        }

        Assert.Equal(Run(1), Run(3));
    }

    private static unsafe void Copy(TensorView from, TensorView to, int bytes) =>
        Buffer.MemoryCopy((void*)from.Pointer, (void*)to.Pointer, bytes, bytes);
}
