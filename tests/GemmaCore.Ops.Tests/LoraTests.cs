using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class LoraTests
{
    private const float Scale = 0.75f;

    // Rows, outputs, inputs, rank.
    public static IEnumerable<(string, int, int, int, int)> Shapes =>
        from row in TestDevices.Spread<(int Rows, int Outputs, int Inputs, int Rank)>(
            [(1, 1, 1, 1), (3, 7, 5, 2), (11, 17, 33, 5), (13, 33, 17, 16), (20, 24, 40, 8)])
        select (row.Device, row.Case.Rows, row.Case.Outputs, row.Case.Inputs, row.Case.Rank);

    public static TheoryData<string> Devices => ["cpu", .. TestDevices.Cards()];

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference(string device, int rows, int outputs, int inputs, int rank)
    {
        using var fixture = new OpFixture(device);
        Case c = new(fixture, rows, outputs, inputs, rank, dropout: 0.25f);
        TensorView y = fixture.Of(new Shape(rows, outputs), c.Y);

        Lora.Forward(c.Input, c.Weights, y, fixture.Arena, null);

        double[] expected = c.Reference<double, RealFunctions>(Sample.Widen(c.X), Sample.Widen(c.A), Sample.Widen(c.B), c.NothingDropped);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, ToleranceOf(fixture, inputs + rank));
        Assert.Equal(default, fixture.Arena.Position);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Backward_matches_the_complex_step(string device, int rows, int outputs, int inputs, int rank)
    {
        using var fixture = new OpFixture(device);
        Check(fixture, new Case(fixture, rows, outputs, inputs, rank, dropout: 0));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Backward_draws_the_dropout_mask_of_forward_again(string device, int rows, int outputs, int inputs, int rank)
    {
        using var fixture = new OpFixture(device);
        Check(fixture, new Case(fixture, rows, outputs, inputs, rank, dropout: 0.25f));
    }

    private static void Check(OpFixture fixture, Case c)
    {
        TensorView y = fixture.Of(new Shape(c.Rows, c.Outputs), c.Y);
        fixture.Want(c.Input);
        fixture.Want(y);
        Lora.Forward(c.Input, c.Weights, y, fixture.Arena, fixture.Tape);
        float[] forward = y.ToFloats();
        float[][] gradients = fixture.Backward(y, c.DY, c.Input, y);

        double[] x = Sample.Widen(c.X), a = Sample.Widen(c.A), b = Sample.Widen(c.B), dY = Sample.Widen(c.DY);
        double[] factors = c.Factors(fixture.Tape.Seed);
        double tolerance = ToleranceOf(fixture, c.Rows + c.Inputs + c.Outputs + c.Rank);
        Assert.InRange(Tolerance.RelativeError(forward, c.Reference<double, RealFunctions>(x, a, b, factors)), 0, tolerance);
        Assert.Equal(c.DY, gradients[1]);
        Complex[] xc = Widen(x), ac = Widen(a), bc = Widen(b);
        double[] dX = ComplexStep.Gradient(x, dY, p => c.Reference<Complex, ComplexFunctions>(p, ac, bc, factors));
        Assert.InRange(Tolerance.RelativeError(gradients[0], dX), 0, tolerance);
        // Parameter gradients are added to what was there.
        double[] dA = ComplexStep.Gradient(a, dY, p => c.Reference<Complex, ComplexFunctions>(xc, p, bc, factors));
        Assert.InRange(Tolerance.RelativeError(c.Weights.GradientA.ToFloats(), Case.AfterStart(dA)), 0, tolerance);
        double[] dB = ComplexStep.Gradient(b, dY, p => c.Reference<Complex, ComplexFunctions>(xc, ac, p, factors));
        Assert.InRange(Tolerance.RelativeError(c.Weights.GradientB.ToFloats(), Case.AfterStart(dB)), 0, tolerance);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void A_frozen_branch_passes_the_gradient_through_to_x_only(string device)
    {
        using var fixture = new OpFixture(device);
        Case c = new(fixture, 11, 17, 33, 5, dropout: 0);
        var frozen = new LoraWeights { A = c.Weights.A, B = c.Weights.B, Scale = Scale };
        TensorView y = fixture.Of(new Shape(11, 17), c.Y);
        fixture.Want(c.Input);

        Lora.Forward(c.Input, frozen, y, fixture.Arena, fixture.Tape);
        float[] dX = fixture.Backward(y, c.DY, c.Input)[0];

        Complex[] ac = Widen(Sample.Widen(c.A)), bc = Widen(Sample.Widen(c.B));
        double[] expected = ComplexStep.Gradient(
            Sample.Widen(c.X), Sample.Widen(c.DY), p => c.Reference<Complex, ComplexFunctions>(p, ac, bc, c.NothingDropped));
        Assert.InRange(Tolerance.RelativeError(dX, expected), 0, ToleranceOf(fixture, 55));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Base_product_and_branch_share_one_output_and_both_receive_its_gradient(string device)
    {
        using var fixture = new OpFixture(device);
        Case c = new(fixture, 13, 33, 17, 4, dropout: 0);
        float[] w = new Sample(9).Floats(33 * 17);
        TensorView y = fixture.Empty(new Shape(13, 33));
        fixture.Want(c.Input);

        Matmul.Forward(c.Input, fixture.Of(new Shape(33, 17), w), default, y, fixture.Tape);
        Lora.Forward(c.Input, c.Weights, y, fixture.Arena, fixture.Tape);
        float[] dX = fixture.Backward(y, c.DY, c.Input)[0];

        Complex[] ac = Widen(Sample.Widen(c.A)), bc = Widen(Sample.Widen(c.B));
        double[] zero = new double[13 * 33], dY = Sample.Widen(c.DY);
        double[] expected = ComplexStep.Gradient(Sample.Widen(c.X), dY, p =>
        {
            Complex[] product = MatmulReference.Forward<Complex, ComplexFunctions>(p, Sample.Widen(w), [], 17);
            Complex[] branch = LoraReference.Forward<Complex, ComplexFunctions>(p, ac, bc, zero, c.NothingDropped, Scale, 17);
            return [.. product.Zip(branch, (l, r) => l + r)];
        });
        Assert.InRange(Tolerance.RelativeError(dX, expected), 0, ToleranceOf(fixture, 50));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Every_device_drops_the_same_elements(string device)
    {
        using var fixture = new OpFixture(device);
        // With the identity for A and B, y is what is kept of x.
        const int width = 16, rows = 300;
        var identity = new float[width * width];
        for (int i = 0; i < width; i++) identity[i * (width + 1)] = 1;
        float[] ones = [.. Enumerable.Repeat(1f, rows * width)];
        TensorView y = fixture.Of(new Shape(rows, width), new float[rows * width]), square = fixture.Of(new Shape(width, width), identity);
        var lora = new LoraWeights { A = square, B = square, Scale = 1, Dropout = 0.5f, Id = 11 };

        Lora.Forward(fixture.Of(new Shape(rows, width), ones), lora, y, fixture.Arena, fixture.Tape);

        var dropout = new Dropout(0.5f, fixture.Tape.Seed, 11);
        Assert.Equal(Enumerable.Range(0, rows * width).Select(i => dropout.Factor(i)), y.ToFloats());
    }

    [Theory]
    [InlineData(0.1f)]
    [InlineData(0.5f)]
    public void Dropout_keeps_the_expectation_and_drops_the_stated_share(float probability)
    {
        const int count = 1 << 20;
        var dropout = new Dropout(probability, seed: 7, id: 3);
        int dropped = 0;
        double sum = 0;
        for (int i = 0; i < count; i++)
        {
            float factor = dropout.Factor(i);
            if (factor == 0) dropped++;
            sum += factor;
        }

        // Six standard deviations of a binomial share.
        double deviation = 6 * Math.Sqrt(probability * (1 - probability) / count);
        Assert.InRange((double)dropped / count, probability - deviation, probability + deviation);
        Assert.InRange(sum / count, 1 - deviation / (1 - probability), 1 + deviation / (1 - probability));
    }

    [Fact]
    public void Masks_differ_by_seed_and_by_id_and_replay_equal()
    {
        float[] Mask(ulong seed, int id)
        {
            var dropout = new Dropout(0.5f, seed, id);
            return [.. Enumerable.Range(0, 256).Select(i => dropout.Factor(i))];
        }

        Assert.Equal(Mask(1, 2), Mask(1, 2));
        Assert.NotEqual(Mask(1, 2), Mask(1, 3));
        Assert.NotEqual(Mask(1, 2), Mask(2, 2));
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        float[][] Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            Case c = new(fixture, 190, 150, 140, 16, dropout: 0.1f);
            TensorView y = fixture.Of(new Shape(190, 150), c.Y);
            fixture.Want(c.Input);
            Lora.Forward(c.Input, c.Weights, y, fixture.Arena, fixture.Tape);
            float[] forward = y.ToFloats();
            float[] dX = fixture.Backward(y, c.DY, c.Input)[0];
            return [forward, dX, c.Weights.GradientA.ToFloats(), c.Weights.GradientB.ToFloats()];
        }

        Assert.Equal(Run(1), Run(3));
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView x = fixture.Empty(new Shape(2, 8)), y = fixture.Empty(new Shape(2, 5));
        TensorView a = fixture.Empty(new Shape(3, 8)), b = fixture.Empty(new Shape(5, 3));

        string Refusal(LoraWeights lora, TensorView output) =>
            Assert.Throws<ShapeException>(() => Lora.Forward(x, lora, output, fixture.Arena, null)).Message;

        Assert.Contains("A must be f32[R, 8]", Refusal(new LoraWeights { A = b, B = b, Scale = 1 }, y), StringComparison.Ordinal);
        Assert.Contains("B must be f32[5, 3]", Refusal(new LoraWeights { A = a, B = a, Scale = 1 }, y), StringComparison.Ordinal);
        Assert.Contains("must be given together", Refusal(new LoraWeights { A = a, B = b, GradientA = a, Scale = 1 }, y), StringComparison.Ordinal);
        Assert.Contains("GradientB must be like", Refusal(new LoraWeights { A = a, B = b, GradientA = a, GradientB = a, Scale = 1 }, y), StringComparison.Ordinal);
        Assert.Contains("Dropout must be", Refusal(new LoraWeights { A = a, B = b, Scale = 1, Dropout = 1 }, y), StringComparison.Ordinal);
        Assert.Contains("y must have 2 rows", Refusal(new LoraWeights { A = a, B = b, Scale = 1 }, fixture.Empty(new Shape(3, 5))), StringComparison.Ordinal);
    }

    // Two products in a row round their factors, and the largest value is at least the root of the sum of squared products.
    private static double ToleranceOf(OpFixture fixture, int reduction)
    {
        double unit = Tolerance.MatrixUnit(fixture.Device);
        return unit == 0 ? Tolerance.Float32(reduction) : 2 * Tolerance.RoundedProducts(unit, reduction);
    }

    private static Complex[] Widen(double[] values) => Array.ConvertAll(values, v => new Complex(v, 0));

    private sealed class Case
    {
        private const float Start = 0.5f;
        private readonly float _dropout;

        public Case(OpFixture fixture, int rows, int outputs, int inputs, int rank, float dropout)
        {
            (Rows, Outputs, Inputs, Rank, _dropout) = (rows, outputs, inputs, rank, dropout);
            var sample = new Sample(1);
            X = sample.Floats(rows * inputs);
            A = sample.Floats(rank * inputs);
            B = sample.Floats(outputs * rank);
            Y = sample.Floats(rows * outputs);
            DY = sample.Floats(rows * outputs);
            Input = fixture.Of(new Shape(rows, inputs), X);
            TensorView dA = fixture.Empty(new Shape(rank, inputs)), dB = fixture.Empty(new Shape(outputs, rank));
            dA.CopyFrom([.. Enumerable.Repeat(Start, rank * inputs)]);
            dB.CopyFrom([.. Enumerable.Repeat(Start, outputs * rank)]);
            Weights = new LoraWeights
            {
                A = fixture.Of(new Shape(rank, inputs), A), B = fixture.Of(new Shape(outputs, rank), B),
                GradientA = dA, GradientB = dB, Scale = Scale, Dropout = dropout, Id = 4,
            };
        }

        public int Rows { get; }

        public int Outputs { get; }

        public int Inputs { get; }

        public int Rank { get; }

        public float[] X { get; }

        public float[] A { get; }

        public float[] B { get; }

        public float[] Y { get; }

        public float[] DY { get; }

        public TensorView Input { get; }

        public LoraWeights Weights { get; }

        public double[] NothingDropped
        {
            get
            {
                var ones = new double[Rows * Inputs];
                Array.Fill(ones, 1);
                return ones;
            }
        }

        public static double[] AfterStart(double[] gradient) => Array.ConvertAll(gradient, g => g + Start);

        public double[] Factors(ulong seed)
        {
            if (_dropout == 0) return NothingDropped;
            var dropout = new Dropout(_dropout, seed, Weights.Id);
            return [.. Enumerable.Range(0, Rows * Inputs).Select(i => (double)dropout.Factor(i))];
        }

        public T[] Reference<T, F>(T[] x, T[] a, T[] b, double[] factors) where T : struct, INumberBase<T> where F : IFunctions<T> =>
            LoraReference.Forward<T, F>(x, a, b, Sample.Widen(Y), factors, Scale, Inputs);
    }
}
