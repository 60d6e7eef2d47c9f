using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class GluTests
{
    // Elements, floats past an aligned address: one; a prime; one past a vector; one past a block of 16 K; whole vectors off alignment;
    // more than the smallest card holds at once.
    public static IEnumerable<(string, Activation, int, int)> Cases =>
        from row in TestDevices.Spread<(Activation Activation, int Count, int Shift)>(
            from activation in Enum.GetValues<Activation>()
            from size in new (int Count, int Shift)[] { (1, 0), (7, 0), (33, 0), ((16 << 10) + 1, 0), (36, 1), (120_001, 0) }
            select (activation, size.Count, size.Shift))
        select (row.Device, row.Case.Activation, row.Case.Count, row.Case.Shift);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Forward_matches_the_reference(string device, Activation activation, int count, int shift)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(1);
        var shape = new Shape(1, count);
        float[] gate = sample.Floats(count, -6, 6), up = sample.Floats(count);
        TensorView y = fixture.Empty(shape, shift), inPlace = fixture.Of(shape, gate, shift), other = fixture.Of(shape, up, shift);

        Glu.Forward(inPlace, other, activation, y, null);
        Glu.Forward(inPlace, other, activation, inPlace, null);

        double[] expected = GluReference.Forward<double, RealFunctions>(Sample.Widen(gate), Sample.Widen(up), activation);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(1));
        Assert.Equal(y.ToFloats(), inPlace.ToFloats());
    }

    public static IEnumerable<(string, Activation, int, int, bool)> BackwardCases =>
        from row in TestDevices.Spread<(Activation Activation, int Count, int Shift, bool Accumulate)>(
            [(Activation.GeluTanh, 1, 0, false), (Activation.GeluTanh, 67, 0, true), (Activation.Silu, 7, 0, false), (Activation.Silu, 67, 0, true),
             (Activation.QuickGelu, 33, 0, false), (Activation.QuickGelu, 67, 0, true), (Activation.GeluTanh, 36, 1, true)])
        select (row.Device, row.Case.Activation, row.Case.Count, row.Case.Shift, row.Case.Accumulate);

    [Theory]
    [MemberData(nameof(BackwardCases))]
    public void Backward_matches_the_complex_step(string device, Activation activation, int count, int shift, bool accumulate)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(2);
        var shape = new Shape(1, count);
        float[] gate = sample.Floats(count, -6, 6), up = sample.Floats(count), dY = sample.Floats(count);
        float[] start = accumulate ? sample.Floats(count) : new float[count];
        TensorView g = fixture.Of(shape, gate, shift), u = fixture.Of(shape, up, shift), y = fixture.Empty(shape, shift);
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

    public static IEnumerable<(string, bool)> OneInput => from row in TestDevices.Spread<bool>([true, false]) select (row.Device, row.Case);

    [Theory]
    [MemberData(nameof(OneInput))]
    public void One_input_alone_may_want_its_gradient(string device, bool wantGate)
    {
        float[] Gradient(bool both)
        {
            using var fixture = new OpFixture(device);
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
