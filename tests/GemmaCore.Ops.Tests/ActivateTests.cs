using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class ActivateTests
{
    // Elements, floats past an aligned address: one; a prime; one past a vector; one past a block of 16 K; whole vectors off alignment;
    // more than the smallest card holds at once.
    public static IEnumerable<(string, Activation, int, int)> Cases =>
        from row in TestDevices.Spread<(Activation Activation, int Count, int Shift)>(
            from activation in Enum.GetValues<Activation>()
            from size in new (int Count, int Shift)[] { (1, 0), (7, 0), (33, 0), ((16 << 10) + 1, 0), (36, 1), (120_001, 0) }
            select (activation, size.Count, size.Shift))
        select (row.Device, row.Case.Activation, row.Case.Count, row.Case.Shift);

    public static IEnumerable<(string, Activation)> Activations => TestDevices.Spread(Enum.GetValues<Activation>());

    [Theory]
    [MemberData(nameof(Cases))]
    public void Forward_matches_the_reference(string device, Activation activation, int count, int shift)
    {
        using var fixture = new OpFixture(device);
        float[] x = new Sample(1).Floats(count, -6, 6);
        TensorView y = fixture.Empty(new Shape(count), shift), inPlace = fixture.Of(new Shape(count), x, shift);

        Activate.Forward(inPlace, activation, y, null);
        Activate.Forward(inPlace, activation, inPlace, null);

        double[] expected = ActivateReference.Forward<double, RealFunctions>(Sample.Widen(x), activation);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(1));
        Assert.Equal(y.ToFloats(), inPlace.ToFloats());
    }

    // The usual measure looks at the largest value only; this one holds every value to its own size.
    [Theory]
    [MemberData(nameof(Activations))]
    public void Every_value_is_accurate_by_its_own_size(string device, Activation activation)
    {
        using var fixture = new OpFixture(device);
        // The tanh form of the reference cancels for large negative x, so the range ends where double still has the digits.
        float[] x = new Sample(2).Floats(4099, -3, 20);
        TensorView y = fixture.Empty(new Shape(x.Length));

        Activate.Forward(fixture.Of(new Shape(x.Length), x), activation, y, null);

        double[] expected = ActivateReference.Forward<double, RealFunctions>(Sample.Widen(x), activation);
        float[] actual = y.ToFloats();
        // Rounding of z(x), up to 13 in size here, is carried over by the exponential.
        Assert.All(actual, (value, i) => Assert.InRange(Math.Abs(value - expected[i]) / Math.Abs(expected[i]), 0, 2 * Tolerance.Float32(1)));
    }

    [Theory]
    [MemberData(nameof(Activations))]
    public void Far_values_saturate_and_NaN_stays(string device, Activation activation)
    {
        using var fixture = new OpFixture(device);
        TensorView y = fixture.Empty(new Shape(5));

        Activate.Forward(fixture.Of(new Shape(5), [-1e4f, 1e4f, 0, float.NaN, 3e18f]), activation, y, null);

        float[] actual = y.ToFloats();
        Assert.InRange(actual[0], -1e-30f, 0);
        Assert.Equal(1e4f, actual[1]);
        Assert.Equal(0, actual[2]);
        Assert.True(float.IsNaN(actual[3]));
        Assert.Equal(3e18f, actual[4]);
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
        var sample = new Sample(3);
        // A slope alone is measured by its own size, which says nothing where it crosses zero (near x = -0.75) or fades out (x < -4).
        float[] x = sample.Floats(count, count == 1 ? 0 : -6, 6), dY = sample.Floats(count), start = accumulate ? sample.Floats(count) : new float[count];
        TensorView input = fixture.Of(new Shape(count), x, shift), y = fixture.Empty(new Shape(count), shift);
        fixture.Want(input);

        Activate.Forward(input, activation, y, fixture.Tape);
        if (accumulate) fixture.Tape.GradientFor(input, out _).CopyFrom(start);
        float[] dX = fixture.Backward(y, dY, input)[0];

        double[] gradient = ComplexStep.Gradient(
            Sample.Widen(x), Sample.Widen(dY), p => ActivateReference.Forward<Complex, ComplexFunctions>(p, activation));
        double[] expected = [.. gradient.Zip(start, (g, s) => g + s)];
        Assert.InRange(Tolerance.RelativeError(dX, expected), 0, Tolerance.Float32(1));
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView x = fixture.Empty(new Shape(2, 8)), bad = fixture.Empty(new Shape(8, 2));
        fixture.Tape.Track(x);
        string Refusal(Action action) => Assert.Throws<ShapeException>(action).Message;
        Assert.Contains("y must be like f32[2, 8]@cpu", Refusal(() => Activate.Forward(x, Activation.Silu, bad, null)), StringComparison.Ordinal);
        Assert.Contains("y must not be x", Refusal(() => Activate.Forward(x, Activation.Silu, x, fixture.Tape)), StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => Activate.Forward(x, (Activation)99, x, null));
    }

    [Theory]
    [InlineData(Activation.GeluTanh)]
    [InlineData(Activation.Silu)]
    [InlineData(Activation.QuickGelu)]
    public void Results_do_not_depend_on_the_thread_count(Activation activation)
    {
        float[] x = new Sample(4).Floats(70_001, -6, 6);
        float[] Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            TensorView y = fixture.Empty(new Shape(x.Length));
            Activate.Forward(fixture.Of(new Shape(x.Length), x), activation, y, null);
            return y.ToFloats();
        }

        Assert.Equal(Run(1), Run(3));
    }
}
