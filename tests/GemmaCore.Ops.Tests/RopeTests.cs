using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class RopeTests
{
    // Tokens, heads, head size, floats past an aligned address: one; primes; one past a vector; one past a row block's worth; whole vectors, aligned and not.
    public static IEnumerable<(string, int, int, int, int)> Shapes =>
        from row in TestDevices.Spread<(int Tokens, int Heads, int Size, int Shift)>(
            [(1, 1, 2, 0), (3, 5, 14, 0), (2, 3, 34, 0), (129, 2, 66, 0), (3, 8, 256, 0), (3, 2, 16, 1)])
        select (row.Device, row.Case.Tokens, row.Case.Heads, row.Case.Size, row.Case.Shift);

    // The complex step is quadratic in the element count.
    public static IEnumerable<(string, int, int, int, int)> SmallShapes => Shapes.Where(row => row.Item2 * row.Item3 * row.Item4 < 500);

    [Theory]
    [InlineData(10_000, 256, 1)]
    [InlineData(1_000_000, 256, 8)]
    [InlineData(1_000_000, 2, 1)]
    public void Frequencies_are_a_geometric_series_over_the_factor(double theta, int headSize, double factor)
    {
        float[] frequencies = Rope.InverseFrequencies(theta, headSize, factor);

        double[] ratios = [.. frequencies.Select((f, j) => f * factor * Math.Pow(theta, 2.0 * j / headSize))];
        // The exponent, the power and both quotients are rounded; ln θ carries the exponent's error over.
        Assert.All(ratios, ratio => Assert.InRange(ratio, 1 - 4 * Tolerance.Float32(1), 1 + 4 * Tolerance.Float32(1)));
        Assert.Equal(headSize / 2, frequencies.Length);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference(string device, int tokens, int heads, int headSize, int shift)
    {
        using var fixture = new OpFixture(device);
        Case c = new(fixture, tokens, heads, headSize, shift);

        Rope.Forward(c.Input, c.Cos, c.Sin, null);

        double[] expected = RopeReference.Forward<double, RealFunctions>(Sample.Widen(c.X), c.Angles, heads, headSize);
        Assert.InRange(Tolerance.RelativeError(c.Input.ToFloats(), expected), 0, Tolerance.Float32(2));
    }

    [Theory]
    [MemberData(nameof(SmallShapes))]
    public void Backward_matches_the_complex_step(string device, int tokens, int heads, int headSize, int shift)
    {
        using var fixture = new OpFixture(device);
        Case c = new(fixture, tokens, heads, headSize, shift);
        float[] dY = new Sample(2).Floats(c.X.Length);
        fixture.Want(c.Input);

        Rope.Forward(c.Input, c.Cos, c.Sin, fixture.Tape);
        float[] dX = fixture.Backward(c.Input, dY, c.Input)[0];

        double[] expected = ComplexStep.Gradient(
            Sample.Widen(c.X), Sample.Widen(dY), p => RopeReference.Forward<Complex, ComplexFunctions>(p, c.Angles, heads, headSize));
        Assert.InRange(Tolerance.RelativeError(dX, expected), 0, Tolerance.Float32(2));
    }

    public static TheoryData<string> Devices => ["cpu", .. TestDevices.Cards()];

    [Theory]
    [MemberData(nameof(Devices))]
    public void Tables_hold_at_positions_of_long_documents(string device)
    {
        using var fixture = new OpFixture(device);
        int[] positions = [0, 1, 4095, 131_071];
        float[] frequencies = Rope.InverseFrequencies(10_000, 16, 1);
        TensorView cos = fixture.Empty(new Shape(4, 8)), sin = fixture.Empty(new Shape(4, 8));

        Rope.FillTable(fixture.Ints(positions), fixture.Of(new Shape(8), frequencies), cos, sin);

        // The CPU rounds the functions of a double; a card's own are good to 2 ulp.
        double[] angles = RopeReference.Angles(positions, frequencies);
        double tolerance = device == "cpu" ? Math.ScaleB(1, -25) : Math.ScaleB(2, -24);
        Assert.All(cos.ToFloats(), (value, i) => Assert.InRange(Math.Abs(value - Math.Cos(angles[i])), 0, tolerance));
        Assert.All(sin.ToFloats(), (value, i) => Assert.InRange(Math.Abs(value - Math.Sin(angles[i])), 0, tolerance));
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView table = fixture.Empty(new Shape(2, 4)), x = fixture.Empty(new Shape(2, 1, 8)), series = fixture.Empty(new Shape(4));
        string Refusal(Action action) => Assert.Throws<ShapeException>(action).Message;
        Assert.Contains("with an even H", Refusal(() => Rope.Forward(fixture.Empty(new Shape(2, 1, 7)), table, table, null)), StringComparison.Ordinal);
        Assert.Contains("cos must be f32[2, 4]", Refusal(() => Rope.Forward(x, x, table, null)), StringComparison.Ordinal);
        Assert.Contains("sin must be f32[2, 4]", Refusal(() => Rope.FillTable(fixture.Ints(1, 2), series, table, x)), StringComparison.Ordinal);
        Assert.Contains("positions", Refusal(() => Rope.FillTable(x, series, table, table)), StringComparison.Ordinal);
        Assert.Contains("inverseFrequencies must be f32", Refusal(() => Rope.FillTable(fixture.Ints(1, 2), fixture.Ints(1), table, table)), StringComparison.Ordinal);
        Assert.Contains("headDim must be even", Refusal(() => Rope.InverseFrequencies(1e4, 7, 1)), StringComparison.Ordinal);
        Assert.Contains("must be above 0", Refusal(() => Rope.InverseFrequencies(1e4, 8, 0)), StringComparison.Ordinal);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        float[] Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            Case c = new(fixture, 301, 3, 66, shift: 0);
            Rope.Forward(c.Input, c.Cos, c.Sin, null);
            return c.Input.ToFloats();
        }

        Assert.Equal(Run(1), Run(3));
    }

    private sealed class Case
    {
        public Case(OpFixture fixture, int tokens, int heads, int headSize, int shift)
        {
            var sample = new Sample(1);
            X = sample.Floats(tokens * heads * headSize);
            Input = fixture.Of(new Shape(tokens, heads, headSize), X, shift);
            int[] positions = [.. Enumerable.Range(0, tokens).Select(_ => sample.Below(8192))];
            float[] frequencies = Rope.InverseFrequencies(10_000, headSize, 1);
            Angles = RopeReference.Angles(positions, frequencies);
            Cos = fixture.Empty(new Shape(tokens, headSize / 2), shift);
            Sin = fixture.Empty(new Shape(tokens, headSize / 2), shift);
            Rope.FillTable(fixture.Ints(positions), fixture.Of(new Shape(headSize / 2), frequencies), Cos, Sin);
        }

        public float[] X { get; }

        public TensorView Input { get; }

        public TensorView Cos { get; }

        public TensorView Sin { get; }

        public double[] Angles { get; }
    }
}
