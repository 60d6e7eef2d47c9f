using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class SumOfSquaresTests
{
    // One; a prime; one past a vector; one past four vectors; one past a block of 16 K; several blocks.
    public static TheoryData<string, int> Counts => Spread(1, 7, 17, 33, (16 << 10) + 1, 70_001);

    [Theory]
    [MemberData(nameof(Counts))]
    public void The_sum_matches_the_reference(string device, int count)
    {
        using var fixture = new OpFixture(device);
        float[] x = new Sample(1).Floats(count);

        double sum = SumOfSquares.Of(fixture.Of(new Shape(count), x));

        double expected = SumOfSquaresReference.Forward(Sample.Widen(x));
        Assert.InRange(Math.Abs(sum - expected) / expected, 0, Tolerance.Float32(Math.Min(count, 16 << 10)));
    }

    // Also views that are not aligned for vectors, an empty one, and one that begins where another ends.
    [Theory]
    [MemberData(nameof(Devices))]
    public void Many_tensors_give_the_sum_of_their_sums_in_order(string device)
    {
        using var fixture = new OpFixture(device);
        float[] x = new Sample(3).Floats(40_000);
        TensorView all = fixture.Of(new Shape(x.Length), x);
        TensorView[] parts = [all.Slice(0, 20_001), all.Slice(20_001, 18_999), all.Slice(39_000, 0), all.Slice(39_000, 999), all.Slice(39_999, 1)];

        double together = SumOfSquares.Of(parts), apart = 0;
        foreach (TensorView part in parts) apart += SumOfSquares.Of(part);

        // The blocks of one tensor are added to the total one by one on a card, and among themselves first on the CPU.
        Assert.Equal(apart, together, 1e-15 * apart);
        Assert.Equal(SumOfSquaresReference.Forward(Sample.Widen(x)), together, Tolerance.Float32(16 << 10) * together);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void A_gradient_that_is_not_finite_shows_in_the_sum(string device)
    {
        using var fixture = new OpFixture(device);
        float[] x = new Sample(4).Floats(20_000);
        double With(float value)
        {
            x[17_003] = value;
            return SumOfSquares.Of(fixture.Of(new Shape(5), new float[5]), fixture.Of(new Shape(x.Length), x));
        }

        Assert.True(double.IsNaN(With(float.NaN)));
        Assert.Equal(double.PositiveInfinity, With(float.NegativeInfinity));
        Assert.Equal(double.PositiveInfinity, With(float.MaxValue));
    }

    [Fact]
    public void No_tensor_sums_to_nothing() => Assert.Equal(0, SumOfSquares.Of());

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        float[] x = new Sample(2).Floats(70_001);
        double Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            return SumOfSquares.Of(fixture.Of(new Shape(x.Length), x));
        }

        Assert.Equal(Run(1), Run(3));
    }

    [Fact]
    public void Anything_but_floats_is_refused()
    {
        using var fixture = new OpFixture();
        Assert.Contains("x must be f32", Assert.Throws<ShapeException>(() => SumOfSquares.Of(fixture.Ints(1))).Message, StringComparison.Ordinal);
        Assert.Contains("x must be f32", Assert.Throws<ShapeException>(() => SumOfSquares.Of(default(TensorView))).Message, StringComparison.Ordinal);
    }

    public static TheoryData<string> Devices => [.. TestDevices.Cards(1).Prepend("cpu")];

    private static TheoryData<string, int> Spread(params int[] counts)
    {
        var data = new TheoryData<string, int>();
        foreach ((string device, int count) in TestDevices.Spread(counts)) data.Add(device, count);
        return data;
    }
}
