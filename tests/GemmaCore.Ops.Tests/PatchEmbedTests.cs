using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class PatchEmbedTests
{
    // Pictures, channels, patches per side, patch, width: one; primes; one past a vector; SigLIP's patch of 14.
    public static TheoryData<string, int, int, int, int, int, DType, bool> Cases
    {
        get
        {
            (int, int, int, int, int, DType, bool)[] cases =
                [(1, 1, 1, 1, 1, DType.F32, false), (2, 3, 5, 3, 7, DType.F32, true), (3, 2, 3, 4, 33, DType.BF16, false), (1, 3, 4, 14, 17, DType.F16, true)];
            var data = new TheoryData<string, int, int, int, int, int, DType, bool>();
            foreach ((string device, (int images, int channels, int side, int patch, int width, DType type, bool token)) in TestDevices.Spread(cases))
                data.Add(device, images, channels, side, patch, width, type, token);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Forward_matches_the_reference(
        string device, int images, int channels, int side, int patch, int width, DType type, bool classToken)
    {
        using var fixture = new OpFixture(device);
        Case c = new(fixture, images, channels, side, patch, width, type, classToken);

        TensorView y = c.Run(fixture);

        double[] pixels = Wide(c.Pixels), weights = Wide(c.Weights), positions = Wide(c.Positions), token = Wide(c.ClassToken);
        double[] expected = PatchEmbedReference.Forward(pixels, weights, Wide(c.Bias), positions, token, channels, side * patch, patch);
        int inputs = channels * patch * patch;
        double unit = Tolerance.MatrixUnit(fixture.Device);
        if (unit == 0)
        {
            Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(inputs));
        }
        else
        {
            // What the matrix product rounds is in proportion to √Σ(pixel·weight)², the root of the reference of the squares; the sums behind it are fp32.
            double[] squares = PatchEmbedReference.Forward(
                Squared(pixels), Squared(weights), [], new double[positions.Length], new double[token.Length], channels, side * patch, patch);
            double rounding = Tolerance.RoundedProducts(unit, inputs), sums = Tolerance.Float32(1) * expected.Max(Math.Abs);
            Assert.InRange(Tolerance.ScaledError(y.ToFloats(), expected, Array.ConvertAll(squares, sum => rounding * Math.Sqrt(sum) + sums)), 0, 1);
        }

        Assert.Equal(default, fixture.Arena.Position);
    }

    // The gathered patches are exact, so on any device the operation is its parts to the bit.
    [Theory]
    [MemberData(nameof(Cases))]
    public void Forward_is_a_product_of_patches_plus_positions(
        string device, int images, int channels, int side, int patch, int width, DType type, bool classToken)
    {
        using var fixture = new OpFixture(device);
        Case c = new(fixture, images, channels, side, patch, width, type, classToken);
        int size = side * patch, inputs = channels * patch * patch, first = classToken ? 1 : 0, tokens = side * side + first;
        float[] pixels = c.Pixels.ToFloats();

        float[] y = c.Run(fixture).ToFloats();

        var expected = new List<float>();
        for (int image = 0; image < images; image++)
        {
            float[] columns =
            [
                .. from cell in Enumerable.Range(0, side * side)
                   from channel in Enumerable.Range(0, channels)
                   from row in Enumerable.Range(0, patch)
                   from column in Enumerable.Range(0, patch)
                   select pixels[((image * channels + channel) * size + cell / side * patch + row) * size + cell % side * patch + column],
            ];
            TensorView rows = fixture.Empty(new Shape(tokens, width));
            if (classToken) fixture.Device.Copy(c.ClassToken, rows.Slice(0, 1));
            Matmul.Forward(fixture.Of(new Shape(side * side, inputs), columns), c.Weights, c.Bias, rows.Slice(first, side * side), null);
            Add.Forward(rows, c.Positions, rows, null);
            expected.AddRange(rows.ToFloats());
        }

        Assert.Equal(expected, y);
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

    private static double[] Squared(double[] values) => Array.ConvertAll(values, value => value * value);

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
