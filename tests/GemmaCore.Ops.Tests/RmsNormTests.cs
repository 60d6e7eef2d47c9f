using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class RmsNormTests
{
    private const float Eps = 1e-6f;

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
        var shape = new Shape(rows, columns);
        float[] x = sample.Floats(rows * columns), w = sample.Floats(columns);
        TensorView y = fixture.Empty(shape, shift);

        RmsNorm.Forward(fixture.Of(shape, x, shift), fixture.Of(new Shape(columns), w, shift), Eps, 1, y, null);

        double[] expected = RmsNormReference.Forward<double, RealFunctions>(Sample.Widen(x), Sample.Widen(w), Eps, 1);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(columns));
    }

    // The complex step is quadratic in the element count.
    public static IEnumerable<(string, int, int, int)> SmallShapes =>
        from row in TestDevices.Spread<(int Rows, int Columns, int Shift)>([(1, 1, 0), (3, 7, 0), (2, 17, 0), (5, 33, 0), (5, 36, 0), (5, 36, 1), (1, 1156, 0)])
        select (row.Device, row.Case.Rows, row.Case.Columns, row.Case.Shift);

    // The large eps keeps a single-column row from cancelling to nothing.
    [Theory]
    [MemberData(nameof(SmallShapes))]
    public void Backward_matches_the_complex_step(string device, int rows, int columns, int shift)
    {
        const float eps = 0.1f;
        using var fixture = new OpFixture(device);
        var sample = new Sample(2);
        var shape = new Shape(rows, columns);
        float[] x = sample.Floats(rows * columns), w = sample.Floats(columns), dY = sample.Floats(rows * columns);
        TensorView input = fixture.Of(shape, x, shift), y = fixture.Empty(shape, shift);
        fixture.Want(input);

        RmsNorm.Forward(input, fixture.Of(new Shape(columns), w, shift), eps, 0, y, fixture.Tape);
        float[] dX = fixture.Backward(y, dY, input)[0];

        double[] expected = ComplexStep.Gradient(
            Sample.Widen(x), Sample.Widen(dY), p => RmsNormReference.Forward<Complex, ComplexFunctions>(p, Sample.Widen(w), eps, 0));
        Assert.InRange(Tolerance.RelativeError(dX, expected), 0, Tolerance.Float32(columns));
    }

    public static IEnumerable<(string, int)> Widths =>
        from row in TestDevices.Spread<int>([19, 1156]) select (row.Device, row.Case);

    [Theory]
    [MemberData(nameof(Widths))]
    public void Backward_adds_to_a_gradient_that_is_already_there(string device, int columns)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(3);
        var shape = new Shape(2, columns);
        TensorView input = fixture.Of(shape, sample.Floats(2 * columns)), w = fixture.Of(new Shape(columns), sample.Floats(columns));
        TensorView y1 = fixture.Empty(shape), y2 = fixture.Empty(shape);
        fixture.Want(input);
        float[] dY = sample.Floats(2 * columns), start = input.ToFloats(), gain = w.ToFloats();

        RmsNorm.Forward(input, w, Eps, 1, y1, fixture.Tape);
        RmsNorm.Forward(input, w, Eps, 1, y2, fixture.Tape);
        fixture.Tape.GradientFor(y2, out _).CopyFrom(dY);
        float[] twice = fixture.Backward(y1, dY, input)[0];

        TensorView again = fixture.Of(shape, start), y = fixture.Empty(shape);
        fixture.Want(again);
        RmsNorm.Forward(again, fixture.Of(new Shape(columns), gain), Eps, 1, y, fixture.Tape);
        float[] once = fixture.Backward(y, dY, again)[0];
        Assert.Equal(Array.ConvertAll(once, v => v + v), twice);
    }

    [Fact]
    public void A_gain_of_the_wrong_length_is_refused_with_both_shapes()
    {
        using var fixture = new OpFixture();
        TensorView x = fixture.Empty(new Shape(2, 8));
        var error = Assert.Throws<ShapeException>(() => RmsNorm.Forward(x, fixture.Empty(new Shape(7)), Eps, 1, x, null));
        Assert.Contains("w must be f32[8], got f32[7]@cpu", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        var sample = new Sample(4);
        float[] x = sample.Floats(300 * 129), w = sample.Floats(129);
        float[] Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            TensorView y = fixture.Empty(new Shape(300, 129));
            RmsNorm.Forward(fixture.Of(new Shape(300, 129), x), fixture.Of(new Shape(129), w), Eps, 1, y, null);
            return y.ToFloats();
        }

        Assert.Equal(Run(1), Run(3));
    }
}
