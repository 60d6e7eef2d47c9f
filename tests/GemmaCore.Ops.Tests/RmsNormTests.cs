using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class RmsNormTests
{
    private const float Eps = 1e-6f;

    // Rows and columns: one, a prime, one past a vector, one past a row block's worth.
    public static TheoryData<int, int> Shapes => new() { { 1, 1 }, { 3, 7 }, { 2, 17 }, { 5, 33 }, { 129, 131 } };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference(int rows, int columns)
    {
        using var fixture = new OpFixture();
        var sample = new Sample(1);
        float[] x = sample.Floats(rows * columns), w = sample.Floats(columns);
        TensorView y = fixture.Empty(new Shape(rows, columns));

        RmsNorm.Forward(fixture.Of(new Shape(rows, columns), x), fixture.Of(new Shape(columns), w), Eps, 1, y, null);

        double[] expected = RmsNormReference.Forward<double, RealFunctions>(Sample.Widen(x), Sample.Widen(w), Eps, 1);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(columns));
    }

    // The complex step is quadratic in the element count. The large eps keeps a single-column row from cancelling to nothing.
    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 7)]
    [InlineData(2, 17)]
    [InlineData(5, 33)]
    public void Backward_matches_the_complex_step(int rows, int columns)
    {
        const float eps = 0.1f;
        using var fixture = new OpFixture();
        var sample = new Sample(2);
        float[] x = sample.Floats(rows * columns), w = sample.Floats(columns), dY = sample.Floats(rows * columns);
        TensorView input = fixture.Of(new Shape(rows, columns), x), y = fixture.Empty(new Shape(rows, columns));
        fixture.Want(input);

        RmsNorm.Forward(input, fixture.Of(new Shape(columns), w), eps, 0, y, fixture.Tape);
        float[] dX = fixture.Backward(y, dY, input)[0];

        double[] expected = ComplexStep.Gradient(
            Sample.Widen(x), Sample.Widen(dY), p => RmsNormReference.Forward<Complex, ComplexFunctions>(p, Sample.Widen(w), eps, 0));
        Assert.InRange(Tolerance.RelativeError(dX, expected), 0, Tolerance.Float32(columns));
    }

    [Fact]
    public void Backward_adds_to_a_gradient_that_is_already_there()
    {
        using var fixture = new OpFixture();
        var sample = new Sample(3);
        var shape = new Shape(2, 19);
        TensorView input = fixture.Of(shape, sample.Floats(38)), w = fixture.Of(new Shape(19), sample.Floats(19));
        TensorView y1 = fixture.Empty(shape), y2 = fixture.Empty(shape);
        fixture.Want(input);
        float[] dY = sample.Floats(38);

        RmsNorm.Forward(input, w, Eps, 1, y1, fixture.Tape);
        RmsNorm.Forward(input, w, Eps, 1, y2, fixture.Tape);
        fixture.Tape.GradientFor(y2, out _).CopyFrom(dY);
        float[] twice = fixture.Backward(y1, dY, input)[0];

        using var single = new OpFixture();
        TensorView again = single.Of(shape, input.ToFloats()), y = single.Empty(shape);
        single.Want(again);
        RmsNorm.Forward(again, single.Of(new Shape(19), w.ToFloats()), Eps, 1, y, single.Tape);
        float[] once = single.Backward(y, dY, again)[0];
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
