using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class MatmulLoraTests
{
    // Rows, outputs, inputs, rank, type of w; rows on either side of the few that are multiplied in fp32.
    private static readonly (int Rows, int Outputs, int Inputs, int Rank, DType Type)[] Sizes =
        [(1, 1, 1, 1, DType.F32), (3, 7, 5, 2, DType.BF16), (8, 24, 264, 16, DType.BF16), (13, 33, 17, 5, DType.F16), (20, 72, 40, 8, DType.BF16), (11, 16, 24, 4, DType.F32)];

    public static IEnumerable<(string, int, int, int, int, DType, float)> Cases =>
        from row in TestDevices.Spread(from size in Sizes from dropout in (float[])[0, 0.25f] select (size, dropout))
        let size = row.Case.size
        select (row.Device, size.Rows, size.Outputs, size.Inputs, size.Rank, size.Type, row.Case.dropout);

    public static TheoryData<string> Devices => ["cpu", .. TestDevices.Cards()];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Results_are_those_of_the_two_operations_in_turn(string device, int rows, int outputs, int inputs, int rank, DType type, float dropout)
    {
        float[][] Run(bool together)
        {
            using var fixture = new OpFixture(device);
            Case c = new(fixture, rows, outputs, inputs, rank, type, dropout);
            fixture.Want(c.X);
            if (together) MatmulLora.Forward(c.X, c.W, c.Bias, c.Lora, c.Y, fixture.Arena, fixture.Tape);
            else
            {
                Matmul.Forward(c.X, c.W, c.Bias, c.Y, fixture.Tape);
                Lora.Forward(c.X, c.Lora, c.Y, fixture.Arena, fixture.Tape);
            }

            float[] y = c.Y.ToFloats();
            float[] dX = fixture.Backward(c.Y, c.DY, c.X)[0];
            return [y, dX, c.Lora.GradientA.ToFloats(), c.Lora.GradientB.ToFloats()];
        }

        float[][] together = Run(true), apart = Run(false);

        // Both round the same factors; sums differ by their order.
        for (int i = 0; i < together.Length; i++)
            Assert.InRange(Tolerance.RelativeError(together[i], apart[i]), 0, Tolerance.Float32(rows + outputs + inputs + rank));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Forward_matches_the_reference(string device, int rows, int outputs, int inputs, int rank, DType type, float dropout)
    {
        using var fixture = new OpFixture(device);
        Case c = new(fixture, rows, outputs, inputs, rank, type, dropout);

        MatmulLora.Forward(c.X, c.W, c.Bias, c.Lora, c.Y, fixture.Arena, null);

        double[] Of(TensorView view) => Sample.Widen(view.ToFloats());
        double[] ones = [.. Enumerable.Repeat(1.0, rows * inputs)];
        double[] expected = MatmulLoraReference.Forward<double, RealFunctions>(
            Of(c.X), Of(c.W), Of(c.Bias), Of(c.Lora.A), Of(c.Lora.B), ones, c.Lora.Scale, inputs);
        double unit = rows <= MatmulPlan.MostTokens ? 0 : Tolerance.MatrixUnit(fixture.Device);
        double tolerance = unit == 0 ? Tolerance.Float32(inputs + rank) : 2 * Tolerance.RoundedProducts(unit, inputs + rank);
        Assert.InRange(Tolerance.RelativeError(c.Y.ToFloats(), expected), 0, tolerance);
        Assert.Equal(default, fixture.Arena.Position);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Backward_matches_the_complex_step(string device)
    {
        using var fixture = new OpFixture(device);
        Case c = new(fixture, 12, 18, 10, 3, DType.F32, dropout: 0.25f);
        fixture.Want(c.X);

        MatmulLora.Forward(c.X, c.W, c.Bias, c.Lora, c.Y, fixture.Arena, fixture.Tape);
        float[] dX = fixture.Backward(c.Y, c.DY, c.X)[0];

        Complex[] Of(TensorView view) => Array.ConvertAll(view.ToFloats(), v => new Complex(v, 0));
        var dropout = new Dropout(0.25f, fixture.Tape.Seed, c.Lora.Id);
        double[] factors = [.. Enumerable.Range(0, 12 * 10).Select(i => (double)dropout.Factor(i))];
        double[] w = Sample.Widen(c.W.ToFloats()), bias = Sample.Widen(c.Bias.ToFloats()), dY = Sample.Widen(c.DY);
        Complex[] x = Of(c.X), a = Of(c.Lora.A), b = Of(c.Lora.B);
        double unit = Tolerance.MatrixUnit(fixture.Device), tolerance = unit == 0 ? Tolerance.Float32(43) : 2 * Tolerance.RoundedProducts(unit, 43);
        void Near(float[] ours, TensorView at, Func<Complex[], Complex[]> f) =>
            Assert.InRange(Tolerance.RelativeError(ours, ComplexStep.Gradient(Sample.Widen(at.ToFloats()), dY, f)), 0, tolerance);

        Near(dX, c.X, p => MatmulLoraReference.Forward<Complex, ComplexFunctions>(p, w, bias, a, b, factors, c.Lora.Scale, 10));
        Near(c.Lora.GradientA.ToFloats(), c.Lora.A, p => MatmulLoraReference.Forward<Complex, ComplexFunctions>(x, w, bias, p, b, factors, c.Lora.Scale, 10));
        Near(c.Lora.GradientB.ToFloats(), c.Lora.B, p => MatmulLoraReference.Forward<Complex, ComplexFunctions>(x, w, bias, a, p, factors, c.Lora.Scale, 10));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Product_and_branch_may_differ_in_magnitude(string device)
    {
        using var fixture = new OpFixture(device);
        const int rows = 20, outputs = 24, inputs = 40, rank = 8;
        foreach (float size in (float[])[1e-6f, 1, 1e6f, 1e20f])
        {
            // In the even columns only the product counts, in the odd ones only the branch, however small or large it is beside the product.
            Case c = new(fixture, rows, outputs, inputs, rank, DType.BF16, dropout: 0);
            float[] a = Array.ConvertAll(c.Lora.A.ToFloats(), v => v * size), b = c.Lora.B.ToFloats(), w = c.W.ToFloats();
            for (int o = 0; o < outputs; o++) Array.Clear(o % 2 == 0 ? b : w, o * (o % 2 == 0 ? rank : inputs), o % 2 == 0 ? rank : inputs);
            var lora = new LoraWeights { A = fixture.Of(c.Lora.A.Shape, a), B = fixture.Of(c.Lora.B.Shape, b), Scale = 0.75f };

            MatmulLora.Forward(c.X, fixture.Weights(c.W.Shape, w, DType.BF16), default, lora, c.Y, fixture.Arena, null);

            double[] ones = [.. Enumerable.Repeat(1.0, rows * inputs)], x = Sample.Widen(c.X.ToFloats());
            double[] expected = MatmulLoraReference.Forward<double, RealFunctions>(x, Sample.Widen(w), [], Sample.Widen(a), Sample.Widen(b), ones, 0.75, inputs);
            float[] y = c.Y.ToFloats();
            double unit = Tolerance.MatrixUnit(fixture.Device), tolerance = unit == 0 ? Tolerance.Float32(48) : 2 * Tolerance.RoundedProducts(unit, 48);
            for (int parity = 0; parity < 2; parity++)
            {
                float[] ours = [.. y.Where((_, i) => i % 2 == parity)];
                Assert.InRange(Tolerance.RelativeError(ours, [.. expected.Where((_, i) => i % 2 == parity)]), 0, tolerance);
            }
        }
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        Case c = new(fixture, 2, 5, 8, 3, DType.F32, 0);

        string Refusal(TensorView w, LoraWeights lora) =>
            Assert.Throws<ShapeException>(() => MatmulLora.Forward(c.X, w, c.Bias, lora, c.Y, fixture.Arena, null)).Message;

        Assert.StartsWith("MatmulLora.Forward: w must be a float matrix [O, 8]", Refusal(fixture.Empty(new Shape(5, 7)), c.Lora), StringComparison.Ordinal);
        Assert.StartsWith("MatmulLora.Forward: A must be f32[R, 8]", Refusal(c.W, new LoraWeights { A = c.Lora.B, B = c.Lora.B, Scale = 1 }), StringComparison.Ordinal);
    }

    private sealed class Case
    {
        public Case(OpFixture fixture, int rows, int outputs, int inputs, int rank, DType type, float dropout)
        {
            var sample = new Sample(1);
            X = fixture.Of(new Shape(rows, inputs), sample.Floats(rows * inputs));
            W = fixture.Weights(new Shape(outputs, inputs), sample.Floats(outputs * inputs), type);
            Bias = fixture.Of(new Shape(outputs), sample.Floats(outputs));
            Y = fixture.Empty(new Shape(rows, outputs));
            DY = sample.Floats(rows * outputs);
            Lora = new LoraWeights
            {
                A = fixture.Of(new Shape(rank, inputs), sample.Floats(rank * inputs)), B = fixture.Of(new Shape(outputs, rank), sample.Floats(outputs * rank)),
                GradientA = fixture.Of(new Shape(rank, inputs), new float[rank * inputs]), GradientB = fixture.Of(new Shape(outputs, rank), new float[outputs * rank]),
                Scale = 0.75f, Dropout = dropout, Id = 4,
            };
        }

        public TensorView X { get; }

        public TensorView W { get; }

        public TensorView Bias { get; }

        public TensorView Y { get; }

        public float[] DY { get; }

        public LoraWeights Lora { get; }
    }
}
