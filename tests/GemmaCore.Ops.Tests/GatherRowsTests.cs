using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class GatherRowsTests
{
    // Rows of x, rows picked, columns, floats past an aligned address: one; primes; one past a vector; one past a row block's worth; whole vectors,
    // several turns of a block, aligned and not.
    public static IEnumerable<(string, int, int, int, int)> Shapes =>
        from row in TestDevices.Spread<(int Rows, int Picked, int Columns, int Shift)>(
            [(1, 1, 1, 0), (5, 3, 7, 0), (3, 8, 33, 0), (40, 129, 131, 0), (3, 4, 516, 0), (3, 4, 36, 1)])
        select (row.Device, row.Case.Rows, row.Case.Picked, row.Case.Columns, row.Case.Shift);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference(string device, int rows, int picked, int columns, int shift)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(1);
        float[] x = sample.Floats(rows * columns);
        int[] list = Pick(sample, rows, picked);
        TensorView y = fixture.Empty(new Shape(picked, columns), shift);

        GatherRows.Forward(fixture.Of(new Shape(rows, columns), x, shift), fixture.Ints(list), y, null);

        Assert.Equal(GatherRowsReference.Forward(x, list, columns), y.ToFloats());
    }

    // Eight picks of three rows: some row is listed more than once. Three hundred of four: a list of several turns of a block.
    public static IEnumerable<(string, int, int, int, bool)> BackwardShapes =>
        from row in TestDevices.Spread<(int Rows, int Picked, int Columns, bool Accumulate)>(
            [(1, 1, 1, false), (5, 3, 7, true), (3, 8, 33, false), (3, 8, 33, true), (9, 4, 12, false), (4, 300, 4, true), (4, 300, 5, false)])
        select (row.Device, row.Case.Rows, row.Case.Picked, row.Case.Columns, row.Case.Accumulate);

    [Theory]
    [MemberData(nameof(BackwardShapes))]
    public void Backward_matches_the_complex_step(string device, int rows, int picked, int columns, bool accumulate)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(2);
        float[] x = sample.Floats(rows * columns), dY = sample.Floats(picked * columns);
        float[] start = accumulate ? sample.Floats(rows * columns) : new float[rows * columns];
        int[] list = Pick(sample, rows, picked);
        TensorView input = fixture.Of(new Shape(rows, columns), x), y = fixture.Empty(new Shape(picked, columns));
        fixture.Want(input);

        GatherRows.Forward(input, fixture.Ints(list), y, fixture.Tape);
        if (accumulate) fixture.Tape.GradientFor(input, out _).CopyFrom(start);
        float[] dX = fixture.Backward(y, dY, input)[0];

        double[] gradient = ComplexStep.Gradient(Sample.Widen(x), Sample.Widen(dY), p => GatherRowsReference.Forward<Complex>(p, list, columns));
        Assert.InRange(Tolerance.RelativeError(dX, (double[])[.. gradient.Zip(start, (g, s) => g + s)]), 0, Tolerance.Float32(picked));
    }

    [Theory]
    [InlineData(4)]
    [InlineData(-1)]
    public void A_row_that_is_not_there_is_refused(int row)
    {
        using var fixture = new OpFixture();
        var error = Assert.Throws<ShapeException>(() => GatherRows.Forward(
            fixture.Empty(new Shape(4, 3)), fixture.Ints(0, row), fixture.Empty(new Shape(2, 3)), null));
        Assert.Contains($"rows[1] is {row}, but there are 4 rows", error.Message, StringComparison.Ordinal);
    }

    public static TheoryData<string> Cards => [.. TestDevices.Cards()];

    [Theory]
    [MemberData(nameof(Cards))]
    public void A_row_that_is_not_there_makes_a_row_of_NaN_on_a_card(string device)
    {
        using var fixture = new OpFixture(device);
        TensorView y = fixture.Of(new Shape(3, 2), new float[6]);

        GatherRows.Forward(fixture.Of(new Shape(2, 2), [1, 2, 3, 4]), fixture.Ints(2, 1, -1), y, null);

        Assert.Equal([float.NaN, float.NaN, 3, 4, float.NaN, float.NaN], y.ToFloats());
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView x = fixture.Empty(new Shape(4, 3)), rows = fixture.Ints(0, 1), y = fixture.Empty(new Shape(2, 3));
        string Refusal(TensorView r, TensorView o) => Assert.Throws<ShapeException>(() => GatherRows.Forward(x, r, o, null)).Message;
        Assert.Contains("x must be [T, D] and y [R, D]", Refusal(rows, fixture.Empty(new Shape(2, 4))), StringComparison.Ordinal);
        Assert.Contains("rows must hold 2 i32 values", Refusal(fixture.Ints(0), y), StringComparison.Ordinal);
        Assert.Contains("rows must hold 2 i32 values", Refusal(y, y), StringComparison.Ordinal);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        var sample = new Sample(3);
        float[] x = sample.Floats(40 * 129), dY = sample.Floats(500 * 129);
        int[] list = Pick(sample, 40, 500);
        float[] Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            TensorView input = fixture.Of(new Shape(40, 129), x), y = fixture.Empty(new Shape(500, 129));
            fixture.Want(input);
            GatherRows.Forward(input, fixture.Ints(list), y, fixture.Tape);
            return [.. y.ToFloats(), .. fixture.Backward(y, dY, input)[0]];
        }

        Assert.Equal(Run(1), Run(3));
    }

    private static int[] Pick(Sample sample, int rows, int count) => [.. Enumerable.Range(0, count).Select(_ => sample.Below(rows))];
}
