using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class PatchEmbedTests
{
    // Pictures, channels, patches per side, patch, width: one; primes; one past a vector; SigLIP's patch of 14.
    [Theory]
    [InlineData(1, 1, 1, 1, 1, DType.F32, false)]
    [InlineData(2, 3, 5, 3, 7, DType.F32, true)]
    [InlineData(3, 2, 3, 4, 33, DType.BF16, false)]
    [InlineData(1, 3, 4, 14, 17, DType.F16, true)]
    public void Forward_matches_the_reference(int images, int channels, int side, int patch, int width, DType type, bool classToken)
    {
        using var fixture = new OpFixture();
        Case c = new(fixture, images, channels, side, patch, width, type, classToken);

        TensorView y = c.Run(fixture);

        double[] expected = PatchEmbedReference.Forward(
            Wide(c.Pixels), Wide(c.Weights), Wide(c.Bias), Wide(c.Positions), Wide(c.ClassToken), channels, side * patch, patch);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(channels * patch * patch));
        Assert.Equal(default, fixture.Arena.Position);
    }

    [Fact]
    public void The_bias_may_be_absent()
    {
        using var fixture = new OpFixture();
        Case c = new(fixture, 2, 3, 3, 2, 5, DType.F32, classToken: true) { Bias = default };

        TensorView y = c.Run(fixture);

        double[] expected = PatchEmbedReference.Forward(Wide(c.Pixels), Wide(c.Weights), [], Wide(c.Positions), Wide(c.ClassToken), 3, 6, 2);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(12));
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        Case c = new(fixture, 1, 3, 3, 2, 5, DType.F32, classToken: true);
        TensorView y = fixture.Empty(new Shape(1, 10, 5)), bad = fixture.Empty(new Shape(9, 5));
        string Refusal(TensorView pixels, TensorView positions, TensorView token, TensorView output) => Assert.Throws<ShapeException>(
            () => PatchEmbed.Forward(pixels, c.Weights, c.Bias, positions, token, 2, output, fixture.Arena)).Message;
        Assert.Contains("with S a multiple of 2", Refusal(fixture.Empty(new Shape(1, 3, 5, 5)), c.Positions, c.ClassToken, y), StringComparison.Ordinal);
        Assert.Contains("with S a multiple of 2", Refusal(fixture.Empty(new Shape(1, 3, 6, 4)), c.Positions, c.ClassToken, y), StringComparison.Ordinal);
        Assert.Contains("positions must be f32[10, 5], got f32[9, 5]@cpu", Refusal(c.Pixels, bad, c.ClassToken, y), StringComparison.Ordinal);
        Assert.Contains("classToken must be f32[5]", Refusal(c.Pixels, c.Positions, bad, y), StringComparison.Ordinal);
        Assert.Contains("y must be f32[1, 10, 5]", Refusal(c.Pixels, c.Positions, c.ClassToken, bad), StringComparison.Ordinal);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        float[] Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            return new Case(fixture, 2, 3, 12, 7, 33, DType.F32, classToken: true).Run(fixture).ToFloats();
        }

        Assert.Equal(Run(1), Run(3));
    }

    private static double[] Wide(TensorView view) => view.IsEmpty ? [] : Sample.Widen(view.ToFloats());

    private sealed class Case
    {
        private readonly int _patch;

        public Case(OpFixture fixture, int images, int channels, int side, int patch, int width, DType type, bool classToken)
        {
            var sample = new Sample(1);
            TensorView Random(Shape shape) => fixture.Of(shape, sample.Floats((int)shape.ElementCount));
            _patch = patch;
            int inputs = channels * patch * patch, tokens = side * side + (classToken ? 1 : 0);
            Pixels = Random(new Shape(images, channels, side * patch, side * patch));
            Weights = fixture.Weights(new Shape(width, inputs), sample.Floats(width * inputs), type);
            Bias = Random(new Shape(width));
            Positions = Random(new Shape(tokens, width));
            ClassToken = classToken ? Random(new Shape(width)) : default;
        }

        public TensorView Pixels { get; }

        public TensorView Weights { get; }

        public TensorView Bias { get; init; }

        public TensorView Positions { get; }

        public TensorView ClassToken { get; }

        public TensorView Run(OpFixture fixture)
        {
            TensorView y = fixture.Empty(new Shape(Pixels.Shape[0], Positions.Shape[0], Positions.Shape[1]));
            PatchEmbed.Forward(Pixels, Weights, Bias, Positions, ClassToken, _patch, y, fixture.Arena);
            return y;
        }
    }
}
