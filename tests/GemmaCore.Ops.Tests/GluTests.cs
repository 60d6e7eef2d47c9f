using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class GluTests
{
    // One; a prime; one past a vector; one past a block of 16 K.
    public static MatrixTheoryData<Activation, int> Cases => new(Enum.GetValues<Activation>(), [1, 7, 33, (16 << 10) + 1]);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Forward_matches_the_reference(Activation activation, int count)
    {
        using var fixture = new OpFixture();
        var sample = new Sample(1);
        float[] gate = sample.Floats(count, -6, 6), up = sample.Floats(count);
        TensorView y = fixture.Empty(new Shape(1, count)), inPlace = fixture.Of(new Shape(1, count), gate);

        Glu.Forward(inPlace, fixture.Of(new Shape(1, count), up), activation, y, null);
        Glu.Forward(inPlace, fixture.Of(new Shape(1, count), up), activation, inPlace, null);

        double[] expected = GluReference.Forward<double, RealFunctions>(Sample.Widen(gate), Sample.Widen(up), activation);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(1));
        Assert.Equal(y.ToFloats(), inPlace.ToFloats());
    }

    [Theory]
    [InlineData(Activation.GeluTanh, 1, false)]
    [InlineData(Activation.GeluTanh, 67, true)]
    [InlineData(Activation.Silu, 7, false)]
    [InlineData(Activation.Silu, 67, true)]
    [InlineData(Activation.QuickGelu, 33, false)]
    [InlineData(Activation.QuickGelu, 67, true)]
    public void Backward_matches_the_complex_step(Activation activation, int count, bool accumulate)
    {
        using var fixture = new OpFixture();
        var sample = new Sample(2);
        var shape = new Shape(1, count);
        float[] gate = sample.Floats(count, -6, 6), up = sample.Floats(count), dY = sample.Floats(count);
        float[] start = accumulate ? sample.Floats(count) : new float[count];
        TensorView g = fixture.Of(shape, gate), u = fixture.Of(shape, up), y = fixture.Empty(shape);
        fixture.Want(g);
        fixture.Want(u);

        Glu.Forward(g, u, activation, y, fixture.Tape);
        if (accumulate) fixture.Tape.GradientFor(g, out _).CopyFrom(start);
        if (accumulate) fixture.Tape.GradientFor(u, out _).CopyFrom(start);
        float[][] gradients = fixture.Backward(y, dY, g, u);

        Complex[] fixedGate = Array.ConvertAll(gate, v => new Complex(v, 0)), fixedUp = Array.ConvertAll(up, v => new Complex(v, 0));
        double[] dGate = ComplexStep.Gradient(
            Sample.Widen(gate), Sample.Widen(dY), p => GluReference.Forward<Complex, ComplexFunctions>(p, fixedUp, activation));
        double[] dUp = ComplexStep.Gradient(
            Sample.Widen(up), Sample.Widen(dY), p => GluReference.Forward<Complex, ComplexFunctions>(fixedGate, p, activation));
        Assert.InRange(Tolerance.RelativeError(gradients[0], (double[])[.. dGate.Zip(start, (d, s) => d + s)]), 0, Tolerance.Float32(1));
        Assert.InRange(Tolerance.RelativeError(gradients[1], (double[])[.. dUp.Zip(start, (d, s) => d + s)]), 0, Tolerance.Float32(1));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void One_input_alone_may_want_its_gradient(bool wantGate)
    {
        float[] Gradient(bool both)
        {
            using var fixture = new OpFixture();
            var sample = new Sample(3);
            var shape = new Shape(1, 21);
            TensorView g = fixture.Of(shape, sample.Floats(21)), u = fixture.Of(shape, sample.Floats(21)), y = fixture.Empty(shape);
            if (both || wantGate) fixture.Want(g);
            if (both || !wantGate) fixture.Want(u);
            Glu.Forward(g, u, Activation.Silu, y, fixture.Tape);
            return fixture.Backward(y, sample.Floats(21), wantGate ? g : u)[0];
        }

        Assert.Equal(Gradient(both: true), Gradient(both: false));
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView x = fixture.Empty(new Shape(2, 8)), bad = fixture.Empty(new Shape(8, 2));
        fixture.Tape.Track(x);
        string Refusal(Action action) => Assert.Throws<ShapeException>(action).Message;
        Assert.Contains("up must be like f32[2, 8]@cpu", Refusal(() => Glu.Forward(x, bad, Activation.Silu, x, null)), StringComparison.Ordinal);
        Assert.Contains("y must be like f32[2, 8]@cpu", Refusal(() => Glu.Forward(x, x, Activation.Silu, bad, null)), StringComparison.Ordinal);
        Assert.Contains("y must not be gate or up", Refusal(() => Glu.Forward(x, x, Activation.Silu, x, fixture.Tape)), StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => Glu.Forward(x, x, (Activation)99, x, null));
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        var sample = new Sample(4);
        float[] gate = sample.Floats(70_001, -6, 6), up = sample.Floats(70_001);
        float[] Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            TensorView y = fixture.Empty(new Shape(gate.Length));
            Glu.Forward(fixture.Of(y.Shape, gate), fixture.Of(y.Shape, up), Activation.GeluTanh, y, null);
            return y.ToFloats();
        }

        Assert.Equal(Run(1), Run(3));
    }
}
