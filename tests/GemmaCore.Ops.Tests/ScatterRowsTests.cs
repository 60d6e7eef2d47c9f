using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class ScatterRowsTests
{
    // Rows of y, rows put, columns, floats past an aligned address: one; primes; one past a vector; one past a row block's worth; whole vectors,
    // several turns of a block, aligned and not.
    public static IEnumerable<(string, int, int, int, int)> Shapes =>
        from row in TestDevices.Spread<(int Rows, int Put, int Columns, int Shift)>(
            [(1, 1, 1, 0), (5, 3, 7, 0), (9, 8, 33, 0), (300, 129, 131, 0), (5, 4, 516, 0), (5, 4, 36, 1)])
        select (row.Device, row.Case.Rows, row.Case.Put, row.Case.Columns, row.Case.Shift);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference(string device, int rows, int put, int columns, int shift)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(1);
        float[] source = sample.Floats(put * columns), before = sample.Floats(rows * columns);
        int[] list = Distinct(rows, put);
        TensorView y = fixture.Of(new Shape(rows, columns), before, shift);

        ScatterRows.Forward(fixture.Of(new Shape(put, columns), source, shift), fixture.Ints(list), y, null);

        Assert.Equal(ScatterRowsReference.Forward(source, list, before, columns), y.ToFloats());
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Rows_of_16_bits_are_rounded_to_nearest(string device, int rows, int put, int columns, int shift)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(3);
        float[] source = sample.Floats(put * columns), before = sample.Floats(rows * columns);
        (source[0], before[0]) = (float.BitIncrement(1 + 1 / 256f), 0); // just above the middle between two of them
        int[] list = Distinct(rows, put);
        TensorView y = fixture.Weights(new Shape(rows, columns), before, DType.BF16);

        ScatterRows.Forward(fixture.Of(new Shape(put, columns), source, shift), fixture.Ints(list), y, null);

        Assert.Equal(Array.ConvertAll(ScatterRowsReference.Forward(source, list, before, columns), v => BFloat16.ToSingle(BFloat16.FromSingle(v))), y.ToFloats());
    }

    [Fact]
    public void Rows_of_16_bits_have_no_gradient()
    {
        using var fixture = new OpFixture();
        TensorView source = fixture.Of(new Shape(1, 4), new float[4]), y = fixture.Weights(new Shape(2, 4), new float[8], DType.BF16);
        var error = Assert.Throws<ShapeException>(() => ScatterRows.Forward(source, fixture.Ints(1), y, fixture.Tape));
        Assert.Contains("y must be f32, or bf16 without a tape", error.Message, StringComparison.Ordinal);
    }

    public static IEnumerable<(string, int, int, int, bool)> BackwardShapes =>
        from row in TestDevices.Spread<(int Rows, int Put, int Columns, bool Accumulate)>(
            [(1, 1, 1, false), (5, 3, 7, true), (9, 8, 33, false), (9, 8, 33, true), (5, 4, 12, false), (5, 4, 12, true)])
        select (row.Device, row.Case.Rows, row.Case.Put, row.Case.Columns, row.Case.Accumulate);

    [Theory]
    [MemberData(nameof(BackwardShapes))]
    public void Backward_matches_the_complex_step(string device, int rows, int put, int columns, bool accumulate)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(2);
        float[] source = sample.Floats(put * columns), before = sample.Floats(rows * columns), dY = sample.Floats(rows * columns);
        float[] start = accumulate ? sample.Floats(put * columns) : new float[put * columns];
        int[] list = Distinct(rows, put);
        TensorView input = fixture.Of(new Shape(put, columns), source), y = fixture.Of(new Shape(rows, columns), before);
        fixture.Want(input);
        fixture.Want(y);

        ScatterRows.Forward(input, fixture.Ints(list), y, fixture.Tape);
        if (accumulate) fixture.Tape.GradientFor(input, out _).CopyFrom(start);
        float[][] gradients = fixture.Backward(y, dY, input, y);

        Complex[] fixedSource = Array.ConvertAll(source, v => new Complex(v, 0)), fixedBefore = Array.ConvertAll(before, v => new Complex(v, 0));
        double[] dSource = ComplexStep.Gradient(
            Sample.Widen(source), Sample.Widen(dY), p => ScatterRowsReference.Forward(p, list, fixedBefore, columns));
        double[] dBefore = ComplexStep.Gradient(
            Sample.Widen(before), Sample.Widen(dY), p => ScatterRowsReference.Forward(fixedSource, list, p, columns));
        Assert.InRange(Tolerance.RelativeError(gradients[0], (double[])[.. dSource.Zip(start, (d, s) => d + s)]), 0, Tolerance.Float32(1));
        Assert.InRange(Tolerance.RelativeError(gradients[1], dBefore), 0, Tolerance.Float32(1));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(-1)]
    public void A_row_that_is_not_there_is_refused_and_nothing_written(int row)
    {
        using var fixture = new OpFixture();
        TensorView y = fixture.Of(new Shape(4, 3), new float[12]);
        var error = Assert.Throws<ShapeException>(() => ScatterRows.Forward(fixture.Empty(new Shape(2, 3)), fixture.Ints(0, row), y, null));
        Assert.Contains($"rows[1] is {row}, but there are 4 rows", error.Message, StringComparison.Ordinal);
        Assert.Equal(new float[12], y.ToFloats());
    }

    [Theory]
    [InlineData(new[] { 1, 1, 2 }, 1)]
    [InlineData(new[] { 0, 3, 0 }, 2)]
    [InlineData(new[] { 3, 2, 3 }, 2)]
    [InlineData(new[] { 2, 1, 1 }, 2)]
    public void A_row_listed_twice_is_refused_and_nothing_written(int[] rows, int second)
    {
        using var fixture = new OpFixture();
        TensorView y = fixture.Of(new Shape(4, 2), new float[8]);
        var error = Assert.Throws<ShapeException>(() => ScatterRows.Forward(fixture.Of(new Shape(3, 2), [1, 2, 3, 4, 5, 6]), fixture.Ints(rows), y, null));
        Assert.Contains($"rows[{second}] is {rows[second]}, which is listed before", error.Message, StringComparison.Ordinal);
        Assert.Equal(new float[8], y.ToFloats());
    }

    public static TheoryData<string> Cards => [.. TestDevices.Cards()];

    [Theory]
    [MemberData(nameof(Cards))]
    public void A_row_that_is_not_there_is_passed_over_on_a_card(string device)
    {
        using var fixture = new OpFixture(device);
        TensorView y = fixture.Of(new Shape(2, 2), [1, 2, 3, 4]);

        ScatterRows.Forward(fixture.Of(new Shape(3, 2), [5, 6, 7, 8, 9, 10]), fixture.Ints(2, 1, -1), y, null);

        Assert.Equal([1, 2, 7, 8], y.ToFloats());
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView source = fixture.Empty(new Shape(2, 3)), y = fixture.Empty(new Shape(4, 3));
        string Refusal(TensorView r, TensorView o) => Assert.Throws<ShapeException>(() => ScatterRows.Forward(source, r, o, null)).Message;
        Assert.Contains("source must be [P, D] and y [T, D]", Refusal(fixture.Ints(0, 1), fixture.Empty(new Shape(4, 2))), StringComparison.Ordinal);
        Assert.Contains("rows must hold 2 i32 values", Refusal(fixture.Ints(0), y), StringComparison.Ordinal);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        float[] source = new Sample(3).Floats(400 * 129);
        int[] list = Distinct(500, 400);
        float[] Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            TensorView y = fixture.Of(new Shape(500, 129), new float[500 * 129]);
            ScatterRows.Forward(fixture.Of(new Shape(400, 129), source), fixture.Ints(list), y, null);
            return y.ToFloats();
        }

        Assert.Equal(Run(1), Run(3));
    }

    // The last rows, last first: neither sorted nor starting at zero.
    private static int[] Distinct(int rows, int count) => [.. Enumerable.Range(rows - count, count).Reverse()];
}
