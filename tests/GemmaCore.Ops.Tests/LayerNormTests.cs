using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class LayerNormTests
{
    // Rows, columns, floats past an aligned address: one; a prime; one past a vector; one past a row block's worth; whole vectors, aligned and not;
    // the widest row of a warp; one past it; a row of several turns of a block.
    public static IEnumerable<(string, int, int, int)> Shapes =>
        from row in TestDevices.Spread<(int Rows, int Columns, int Shift)>(
            [(1, 1, 0), (3, 7, 0), (2, 17, 0), (5, 33, 0), (129, 131, 0), (5, 256, 0), (5, 256, 1), (3, 1152, 0), (2, 1153, 0), (2, 2560, 0)])
        select (row.Device, row.Case.Rows, row.Case.Columns, row.Case.Shift);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference(string device, int rows, int columns, int shift)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(1);
        Shape shape = new(rows, columns), row = new(columns);
        float[] x = sample.Floats(rows * columns), w = sample.Floats(columns), b = sample.Floats(columns);
        TensorView y = fixture.Empty(shape, shift);

        LayerNorm.Forward(fixture.Of(shape, x, shift), fixture.Of(row, w, shift), fixture.Of(row, b, shift), 1e-6f, y, null);

        double[] expected = LayerNormReference.Forward<double, RealFunctions>(Sample.Widen(x), Sample.Widen(w), Sample.Widen(b), 1e-6f);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(columns));
    }

    public static IEnumerable<(string, int)> Widths =>
        from row in TestDevices.Spread<int>([100, 1156]) select (row.Device, row.Case);

    [Theory]
    [MemberData(nameof(Widths))]
    public void A_large_mean_costs_no_digits(string device, int columns)
    {
        using var fixture = new OpFixture(device);
        Shape shape = new(2, columns), row = new(columns);
        float[] x = new Sample(2).Floats(2 * columns, 1023, 1025), w = new float[columns], b = new float[columns];
        Array.Fill(w, 1);
        TensorView y = fixture.Empty(shape);

        LayerNorm.Forward(fixture.Of(shape, x), fixture.Of(row, w), fixture.Of(row, b), 1e-6f, y, null);

        // The mean itself is an fp32 number near 1024: half an ulp of it, against deviations of about one.
        double[] expected = LayerNormReference.Forward<double, RealFunctions>(Sample.Widen(x), Sample.Widen(w), Sample.Widen(b), 1e-6f);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, 1024 * Tolerance.Float32(1) / 4);
    }

    // The complex step is quadratic in the element count.
    public static IEnumerable<(string, int, int, int, bool)> SmallShapes =>
        from row in TestDevices.Spread<(int Rows, int Columns, int Shift, bool Accumulate)>(
            [(1, 1, 0, false), (3, 7, 0, true), (2, 17, 0, false), (5, 33, 0, true), (5, 36, 0, false), (5, 36, 0, true), (5, 36, 1, true), (1, 1156, 0, true)])
        select (row.Device, row.Case.Rows, row.Case.Columns, row.Case.Shift, row.Case.Accumulate);

    // The large eps keeps a row of few columns from cancelling to nothing.
    [Theory]
    [MemberData(nameof(SmallShapes))]
    public void Backward_matches_the_complex_step(string device, int rows, int columns, int shift, bool accumulate)
    {
        const float eps = 0.1f;
        using var fixture = new OpFixture(device);
        Shape shape = new(rows, columns), row = new(columns);
        var sample = new Sample(3);
        float[] x = sample.Floats(rows * columns), w = sample.Floats(columns), b = sample.Floats(columns), dY = sample.Floats(rows * columns);
        float[] start = accumulate ? sample.Floats(rows * columns) : new float[rows * columns];
        TensorView input = fixture.Of(shape, x, shift), y = fixture.Empty(shape, shift);
        fixture.Want(input);

        LayerNorm.Forward(input, fixture.Of(row, w, shift), fixture.Of(row, b, shift), eps, y, fixture.Tape);
        if (accumulate) fixture.Tape.GradientFor(input, out _).CopyFrom(start);
        float[] dX = fixture.Backward(y, dY, input)[0];

        double[] gradient = ComplexStep.Gradient(Sample.Widen(x), Sample.Widen(dY),
            p => LayerNormReference.Forward<Complex, ComplexFunctions>(p, Sample.Widen(w), Sample.Widen(b), eps));
        double[] expected = [.. gradient.Zip(start, (g, s) => g + s)];
        Assert.InRange(Tolerance.RelativeError(dX, expected), 0, Tolerance.Float32(columns));
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView x = fixture.Empty(new Shape(2, 8)), good = fixture.Empty(new Shape(8)), bad = fixture.Empty(new Shape(7));
        string Refusal(TensorView w, TensorView b, TensorView y) => Assert.Throws<ShapeException>(() => LayerNorm.Forward(x, w, b, 1, y, null)).Message;
        Assert.Contains("w must be f32[8], got f32[7]@cpu", Refusal(bad, good, x), StringComparison.Ordinal);
        Assert.Contains("b must be f32[8], got f32[7]@cpu", Refusal(good, bad, x), StringComparison.Ordinal);
        Assert.Contains("y must be like f32[2, 8]@cpu", Refusal(good, good, bad), StringComparison.Ordinal);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        var sample = new Sample(4);
        float[] x = sample.Floats(300 * 129), w = sample.Floats(129), b = sample.Floats(129);
        float[] Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            TensorView y = fixture.Empty(new Shape(300, 129));
            LayerNorm.Forward(fixture.Of(new Shape(300, 129), x), fixture.Of(new Shape(129), w), fixture.Of(new Shape(129), b), 1e-6f, y, null);
            return y.ToFloats();
        }

        Assert.Equal(Run(1), Run(3));
    }
}
