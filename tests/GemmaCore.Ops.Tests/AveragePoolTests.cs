using System.Numerics;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class AveragePoolTests
{
    // Images, grid side, kernel, columns, floats past an aligned address: one; primes with a remainder at the edges; one past a vector;
    // Gemma's kernel of four; whole vectors, aligned and not.
    public static IEnumerable<(string, int, int, int, int, int)> Shapes =>
        from row in TestDevices.Spread<(int Images, int Side, int Kernel, int Columns, int Shift)>(
            [(1, 1, 1, 1, 0), (2, 7, 3, 5, 0), (3, 4, 2, 33, 0), (1, 16, 4, 131, 0), (2, 8, 4, 516, 0), (2, 5, 2, 12, 1)])
        select (row.Device, row.Case.Images, row.Case.Side, row.Case.Kernel, row.Case.Columns, row.Case.Shift);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference(string device, int images, int side, int kernel, int columns, int shift)
    {
        using var fixture = new OpFixture(device);
        float[] x = new Sample(1).Floats(images * side * side * columns);
        TensorView y = fixture.Empty(Pooled(images, side, kernel, columns), shift);

        AveragePool.Forward(fixture.Of(new Shape(images, side * side, columns), x, shift), side, kernel, y, null);

        double[] expected = AveragePoolReference.Forward<double, RealFunctions>(Sample.Widen(x), side, kernel, columns);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(kernel * kernel));
    }

    public static IEnumerable<(string, int, int, int, int, bool)> BackwardShapes =>
        from row in TestDevices.Spread<(int Images, int Side, int Kernel, int Columns, bool Accumulate)>(
            [(1, 1, 1, 1, false), (2, 7, 3, 5, false), (2, 7, 3, 5, true), (1, 4, 2, 33, true), (2, 5, 2, 8, false), (2, 5, 2, 8, true)])
        select (row.Device, row.Case.Images, row.Case.Side, row.Case.Kernel, row.Case.Columns, row.Case.Accumulate);

    [Theory]
    [MemberData(nameof(BackwardShapes))]
    public void Backward_matches_the_complex_step(string device, int images, int side, int kernel, int columns, bool accumulate)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(2);
        int count = images * side * side * columns;
        Shape pooled = Pooled(images, side, kernel, columns);
        float[] x = sample.Floats(count), dY = sample.Floats((int)pooled.ElementCount), start = accumulate ? sample.Floats(count) : new float[count];
        TensorView input = fixture.Of(new Shape(images, side * side, columns), x), y = fixture.Empty(pooled);
        fixture.Want(input);

        AveragePool.Forward(input, side, kernel, y, fixture.Tape);
        if (accumulate) fixture.Tape.GradientFor(input, out _).CopyFrom(start);
        float[] dX = fixture.Backward(y, dY, input)[0];

        double[] gradient = ComplexStep.Gradient(
            Sample.Widen(x), Sample.Widen(dY), p => AveragePoolReference.Forward<Complex, ComplexFunctions>(p, side, kernel, columns));
        Assert.InRange(Tolerance.RelativeError(dX, (double[])[.. gradient.Zip(start, (g, s) => g + s)]), 0, Tolerance.Float32(1));
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView x = fixture.Empty(new Shape(1, 16, 3)), y = fixture.Empty(new Shape(1, 4, 3));
        string Refusal(int side, int kernel, TensorView output) =>
            Assert.Throws<ShapeException>(() => AveragePool.Forward(x, side, kernel, output, null)).Message;
        Assert.Contains("kernel must be 1 to side, got 0 of 4", Refusal(4, 0, y), StringComparison.Ordinal);
        Assert.Contains("kernel must be 1 to side, got 5 of 4", Refusal(4, 5, y), StringComparison.Ordinal);
        Assert.Contains("x must be [N, 25, D]", Refusal(5, 2, y), StringComparison.Ordinal);
        Assert.Contains("y must be f32[1, 1, 3], got f32[1, 4, 3]@cpu", Refusal(4, 4, y), StringComparison.Ordinal);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        var sample = new Sample(3);
        float[] x = sample.Floats(2 * 64 * 129), dY = sample.Floats(2 * 16 * 129);
        float[] Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            TensorView input = fixture.Of(new Shape(2, 64, 129), x), y = fixture.Empty(new Shape(2, 16, 129));
            fixture.Want(input);
            AveragePool.Forward(input, 8, 2, y, fixture.Tape);
            return [.. y.ToFloats(), .. fixture.Backward(y, dY, input)[0]];
        }

        Assert.Equal(Run(1), Run(3));
    }

    private static Shape Pooled(int images, int side, int kernel, int columns) => new(images, side / kernel * (side / kernel), columns);
}
