using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class LayerNormTests
{
    // One; a prime; one past a vector; one past a row block's worth.
    public static TheoryData<int, int> Shapes => new() { { 1, 1 }, { 3, 7 }, { 2, 17 }, { 5, 33 }, { 129, 131 } };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference(int rows, int columns)
    {
        using var fixture = new OpFixture();
        var sample = new Sample(1);
        float[] x = sample.Floats(rows * columns), w = sample.Floats(columns), b = sample.Floats(columns);
        TensorView y = fixture.Empty(new Shape(rows, columns));

        LayerNorm.Forward(
            fixture.Of(new Shape(rows, columns), x), fixture.Of(new Shape(columns), w), fixture.Of(new Shape(columns), b), 1e-6f, y, null);

        double[] expected = LayerNormReference.Forward<double, RealFunctions>(Sample.Widen(x), Sample.Widen(w), Sample.Widen(b), 1e-6f);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(columns));
    }

    [Fact]
    public void A_large_mean_costs_no_digits()
    {
        using var fixture = new OpFixture();
        float[] x = new Sample(2).Floats(200, 1023, 1025), w = new float[100], b = new float[100];
        Array.Fill(w, 1);
        TensorView y = fixture.Empty(new Shape(2, 100));

        LayerNorm.Forward(fixture.Of(new Shape(2, 100), x), fixture.Of(new Shape(100), w), fixture.Of(new Shape(100), b), 1e-6f, y, null);

        // The mean itself is an fp32 number near 1024: half an ulp of it, against deviations of about one.
        double[] expected = LayerNormReference.Forward<double, RealFunctions>(Sample.Widen(x), Sample.Widen(w), Sample.Widen(b), 1e-6f);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, 1024 * Tolerance.Float32(1) / 4);
    }

    // The large eps keeps a row of few columns from cancelling to nothing.
    [Theory]
    [InlineData(1, 1, false)]
    [InlineData(3, 7, true)]
    [InlineData(2, 17, false)]
    [InlineData(5, 33, true)]
    public void Backward_matches_the_complex_step(int rows, int columns, bool accumulate)
    {
        const float eps = 0.1f;
        using var fixture = new OpFixture();
        var sample = new Sample(3);
        float[] x = sample.Floats(rows * columns), w = sample.Floats(columns), b = sample.Floats(columns), dY = sample.Floats(rows * columns);
        float[] start = accumulate ? sample.Floats(rows * columns) : new float[rows * columns];
        TensorView input = fixture.Of(new Shape(rows, columns), x), y = fixture.Empty(new Shape(rows, columns));
        fixture.Want(input);

        LayerNorm.Forward(input, fixture.Of(new Shape(columns), w), fixture.Of(new Shape(columns), b), eps, y, fixture.Tape);
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
