using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class RmsNormRopeTests
{
    private const float Eps = 1e-6f;

    // Tokens, heads, head size, floats past an aligned address: one; primes; one past a vector; Gemma's head; one past a row block's worth; whole
    // vectors, several turns of a warp, aligned and not.
    public static IEnumerable<(string, int, int, int, int)> Shapes =>
        from row in TestDevices.Spread<(int Tokens, int Heads, int Size, int Shift)>(
            [(1, 1, 2, 0), (3, 5, 14, 0), (2, 3, 34, 0), (3, 4, 256, 0), (129, 2, 66, 0), (2, 1, 520, 0), (3, 2, 16, 1)])
        select (row.Device, row.Case.Tokens, row.Case.Heads, row.Case.Size, row.Case.Shift);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference_and_the_two_operations(string device, int tokens, int heads, int headSize, int shift)
    {
        using var fixture = new OpFixture(device);
        Case c = new(fixture, tokens, heads, headSize, shift);
        TensorView y = fixture.Empty(c.Input.Shape, shift), apart = fixture.Empty(c.Input.Shape);

        RmsNormRope.Forward(c.Input, c.Gain, Eps, 1, c.Cos, c.Sin, y, null);
        RmsNorm.Forward(c.Input, c.Gain, Eps, 1, apart, null);
        Rope.Forward(apart, c.Cos, c.Sin, null);
        RmsNormRope.Forward(c.Input, c.Gain, Eps, 1, c.Cos, c.Sin, c.Input, null);

        double[] expected = RmsNormRopeReference.Forward<double, RealFunctions>(Sample.Widen(c.X), Sample.Widen(c.W), Eps, 1, c.Angles, heads);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(headSize));
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), apart.ToFloats()), 0, Tolerance.Float32(headSize));
        Assert.Equal(y.ToFloats(), c.Input.ToFloats());
    }

    // The complex step is quadratic in the element count.
    public static IEnumerable<(string, int, int, int, int, bool)> SmallShapes =>
        from row in TestDevices.Spread<(int Tokens, int Heads, int Size, int Shift, bool Accumulate)>(
            [(1, 1, 2, 0, false), (3, 5, 14, 0, true), (2, 3, 34, 0, false), (3, 3, 16, 0, true), (2, 3, 16, 1, false), (1, 1, 520, 0, true)])
        select (row.Device, row.Case.Tokens, row.Case.Heads, row.Case.Size, row.Case.Shift, row.Case.Accumulate);

    // The large eps keeps a head of few elements from cancelling to nothing.
    [Theory]
    [MemberData(nameof(SmallShapes))]
    public void Backward_matches_the_complex_step(string device, int tokens, int heads, int headSize, int shift, bool accumulate)
    {
        const float eps = 0.1f;
        using var fixture = new OpFixture(device);
        Case c = new(fixture, tokens, heads, headSize, shift);
        var sample = new Sample(2);
        float[] dY = sample.Floats(c.X.Length), start = accumulate ? sample.Floats(c.X.Length) : new float[c.X.Length];
        TensorView y = fixture.Empty(c.Input.Shape, shift);
        fixture.Want(c.Input);

        RmsNormRope.Forward(c.Input, c.Gain, eps, 1, c.Cos, c.Sin, y, fixture.Tape);
        if (accumulate) fixture.Tape.GradientFor(c.Input, out _).CopyFrom(start);
        float[] dX = fixture.Backward(y, dY, c.Input)[0];

        double[] gradient = ComplexStep.Gradient(Sample.Widen(c.X), Sample.Widen(dY),
            p => RmsNormRopeReference.Forward<Complex, ComplexFunctions>(p, Sample.Widen(c.W), eps, 1, c.Angles, heads));
        Assert.InRange(Tolerance.RelativeError(dX, (double[])[.. gradient.Zip(start, (g, s) => g + s)]), 0, Tolerance.Float32(headSize));
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView x = fixture.Empty(new Shape(2, 1, 8)), table = fixture.Empty(new Shape(2, 4)), w = fixture.Empty(new Shape(8));
        fixture.Tape.Track(x);
        string Refusal(TensorView input, TensorView gain, TensorView cos, TensorView sin, TensorView y, Tape? tape) =>
            Assert.Throws<ShapeException>(() => RmsNormRope.Forward(input, gain, 1, 1, cos, sin, y, tape)).Message;
        Assert.Contains("with an even H", Refusal(fixture.Empty(new Shape(2, 1, 7)), w, table, table, x, null), StringComparison.Ordinal);
        Assert.Contains("w must be f32[8], got f32[2, 4]@cpu", Refusal(x, table, table, table, x, null), StringComparison.Ordinal);
        Assert.Contains("cos must be f32[2, 4]", Refusal(x, w, w, table, x, null), StringComparison.Ordinal);
        Assert.Contains("sin must be f32[2, 4]", Refusal(x, w, table, w, x, null), StringComparison.Ordinal);
        Assert.Contains("y must be like f32[2, 1, 8]@cpu", Refusal(x, w, table, table, w, null), StringComparison.Ordinal);
        Assert.Contains("y must not be x", Refusal(x, w, table, table, x, fixture.Tape), StringComparison.Ordinal);
    }

    private sealed class Case
    {
        public Case(OpFixture fixture, int tokens, int heads, int headSize, int shift)
        {
            var sample = new Sample(1);
            X = sample.Floats(tokens * heads * headSize);
            W = sample.Floats(headSize);
            Input = fixture.Of(new Shape(tokens, heads, headSize), X, shift);
            Gain = fixture.Of(new Shape(headSize), W, shift);
            int[] positions = [.. Enumerable.Range(0, tokens).Select(_ => sample.Below(8192))];
            float[] frequencies = Rope.InverseFrequencies(10_000, headSize, 1);
            Angles = RopeReference.Angles(positions, frequencies);
            Cos = fixture.Empty(new Shape(tokens, headSize / 2), shift);
            Sin = fixture.Empty(new Shape(tokens, headSize / 2), shift);
            Rope.FillTable(fixture.Ints(positions), fixture.Of(new Shape(headSize / 2), frequencies), Cos, Sin);
        }

        public float[] X { get; }

        public float[] W { get; }

        public TensorView Input { get; }

        public TensorView Gain { get; }

        public TensorView Cos { get; }

        public TensorView Sin { get; }

        public double[] Angles { get; }
    }
}
