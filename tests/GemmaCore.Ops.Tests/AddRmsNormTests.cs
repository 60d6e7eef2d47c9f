using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class AddRmsNormTests
{
    private const float Eps = 1e-6f;

    // Rows, columns, floats past an aligned address: one; a prime; one past a vector; one past a row block's worth; whole vectors, aligned and not;
    // the widest row of a warp; one past it; a row of several turns of a block.
    public static IEnumerable<(string, int, int, int)> Shapes =>
        from row in TestDevices.Spread<(int Rows, int Columns, int Shift)>(
            [(1, 1, 0), (3, 7, 0), (2, 17, 0), (129, 131, 0), (5, 256, 0), (5, 256, 1), (3, 1152, 0), (2, 1153, 0), (2, 2560, 0)])
        select (row.Device, row.Case.Rows, row.Case.Columns, row.Case.Shift);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference_and_the_two_operations(string device, int rows, int columns, int shift)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(1);
        var shape = new Shape(rows, columns);
        float[] x = sample.Floats(rows * columns), r = sample.Floats(rows * columns), w = sample.Floats(columns);
        TensorView stream = fixture.Of(shape, x, shift), added = fixture.Of(shape, r, shift), gain = fixture.Of(new Shape(columns), w, shift);
        TensorView sum = fixture.Empty(shape, shift), y = fixture.Empty(shape, shift), sumApart = fixture.Empty(shape), yApart = fixture.Empty(shape);
        TensorView yInPlace = fixture.Empty(shape);

        AddRmsNorm.Forward(stream, added, gain, Eps, 1, sum, y, null);
        Add.Forward(stream, added, sumApart, null);
        RmsNorm.Forward(sumApart, gain, Eps, 1, yApart, null);
        AddRmsNorm.Forward(stream, added, gain, Eps, 1, stream, yInPlace, null);

        (double[] expectedSum, double[] expected) = AddRmsNormReference.Forward<double, RealFunctions>(Sample.Widen(x), Sample.Widen(r), Sample.Widen(w), Eps, 1);
        Assert.InRange(Tolerance.RelativeError(sum.ToFloats(), expectedSum), 0, Tolerance.Float32(1));
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(columns));
        Assert.Equal(sumApart.ToFloats(), sum.ToFloats());
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), yApart.ToFloats()), 0, Tolerance.Float32(1));
        Assert.Equal(sum.ToFloats(), stream.ToFloats());
    }

    // The complex step is quadratic in the element count.
    public static IEnumerable<(string, int, int)> SmallShapes =>
        from row in TestDevices.Spread<(int Rows, int Columns)>([(1, 1), (3, 7), (5, 36), (1, 1156)])
        select (row.Device, row.Case.Rows, row.Case.Columns);

    // Both outputs carry a gradient, as in a block; the large eps keeps a single-column row from cancelling to nothing.
    [Theory]
    [MemberData(nameof(SmallShapes))]
    public void Backward_matches_the_complex_step(string device, int rows, int columns)
    {
        const float eps = 0.1f;
        using var fixture = new OpFixture(device);
        var sample = new Sample(2);
        var shape = new Shape(rows, columns);
        int count = rows * columns;
        float[] x = sample.Floats(count), r = sample.Floats(count), w = sample.Floats(columns), dSum = sample.Floats(count), dY = sample.Floats(count);
        TensorView stream = fixture.Of(shape, x), added = fixture.Of(shape, r), sum = fixture.Empty(shape), y = fixture.Empty(shape);
        fixture.Want(stream);
        fixture.Want(added);

        AddRmsNorm.Forward(stream, added, fixture.Of(new Shape(columns), w), eps, 1, sum, y, fixture.Tape);
        fixture.Tape.GradientFor(sum, out _).CopyFrom(dSum);
        float[][] gradients = fixture.Backward(y, dY, stream, added);

        Complex[] fixedR = Array.ConvertAll(r, value => new Complex(value, 0));
        double[] expected = ComplexStep.Gradient(Sample.Widen(x), Sample.Widen([.. dSum, .. dY]), p =>
        {
            (Complex[] s, Complex[] n) = AddRmsNormReference.Forward<Complex, ComplexFunctions>(p, fixedR, Sample.Widen(w), eps, 1);
            return [.. s, .. n];
        });
        Assert.InRange(Tolerance.RelativeError(gradients[0], expected), 0, Tolerance.Float32(columns));
        Assert.Equal(gradients[0], gradients[1]);
    }

    public static IEnumerable<(string, bool)> OneOutput => from row in TestDevices.Spread<bool>([true, false]) select (row.Device, row.Case);

    [Theory]
    [MemberData(nameof(OneOutput))]
    public void One_output_alone_may_carry_a_gradient(string device, bool ofSum)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(3);
        var shape = new Shape(2, 36);
        float[] dOutput = sample.Floats(72);
        TensorView x = fixture.Of(shape, sample.Floats(72)), r = fixture.Of(shape, sample.Floats(72)), w = fixture.Of(new Shape(36), sample.Floats(36));
        TensorView sum = fixture.Empty(shape), y = fixture.Empty(shape), sumApart = fixture.Empty(shape), yApart = fixture.Empty(shape);

        fixture.Want(x);
        AddRmsNorm.Forward(x, r, w, Eps, 1, sum, y, fixture.Tape);
        float[] dX = fixture.Backward(ofSum ? sum : y, dOutput, x)[0];
        fixture.Want(x);
        Add.Forward(x, r, sumApart, fixture.Tape);
        RmsNorm.Forward(sumApart, w, Eps, 1, yApart, fixture.Tape);
        float[] expected = fixture.Backward(ofSum ? sumApart : yApart, dOutput, x)[0];

        Assert.Equal(expected, dX);
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView x = fixture.Empty(new Shape(2, 8)), sum = fixture.Empty(new Shape(2, 8)), y = fixture.Empty(new Shape(2, 8));
        TensorView w = fixture.Empty(new Shape(8)), bad = fixture.Empty(new Shape(8, 2));
        fixture.Tape.Track(x);
        string Refusal(TensorView r, TensorView gain, TensorView s, TensorView output, Tape? tape) =>
            Assert.Throws<ShapeException>(() => AddRmsNorm.Forward(x, r, gain, 1, 1, s, output, tape)).Message;
        Assert.Contains("r must be like f32[2, 8]@cpu, got f32[8, 2]@cpu", Refusal(bad, w, sum, y, null), StringComparison.Ordinal);
        Assert.Contains("w must be f32[8], got f32[8, 2]@cpu", Refusal(x, bad, sum, y, null), StringComparison.Ordinal);
        Assert.Contains("sum must be like f32[2, 8]@cpu", Refusal(x, w, bad, y, null), StringComparison.Ordinal);
        Assert.Contains("y must be like f32[2, 8]@cpu", Refusal(x, w, sum, bad, null), StringComparison.Ordinal);
        Assert.Contains("y must not be x, r or sum", Refusal(x, w, sum, sum, null), StringComparison.Ordinal);
        Assert.Contains("sum must not be x or r", Refusal(x, w, x, y, fixture.Tape), StringComparison.Ordinal);
    }
}
