using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class SumOfSquaresTests
{
    // One; a prime; one past a vector; one past four vectors; one past a block of 16 K; several blocks.
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(17)]
    [InlineData(33)]
    [InlineData((16 << 10) + 1)]
    [InlineData(70_001)]
    public void The_sum_matches_the_reference(int count)
    {
        using var fixture = new OpFixture();
        float[] x = new Sample(1).Floats(count);

        double sum = SumOfSquares.Of(fixture.Of(new Shape(count), x));

        double expected = SumOfSquaresReference.Forward(Sample.Widen(x));
        Assert.InRange(Math.Abs(sum - expected) / expected, 0, Tolerance.Float32(Math.Min(count, 16 << 10)));
    }

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
}
