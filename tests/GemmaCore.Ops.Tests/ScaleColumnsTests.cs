using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class ScaleColumnsTests
{
    // One; a prime; one past a vector; one past a row block's worth; whole vectors, several turns of a block, aligned and not.
    public static IEnumerable<(string, int, int, int, bool)> Shapes =>
        from row in TestDevices.Spread<(int Rows, int Columns, int Shift, bool Biased)>(
            [(1, 1, 0, true), (3, 7, 0, false), (2, 33, 0, true), (129, 131, 0, true), (129, 131, 0, false), (3, 1280, 0, true), (3, 1280, 0, false), (3, 68, 1, true)])
        select (row.Device, row.Case.Rows, row.Case.Columns, row.Case.Shift, row.Case.Biased);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference(string device, int rows, int columns, int shift, bool biased)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(1);
        var row = new Shape(columns);
        float[] before = sample.Floats(rows * columns), scale = sample.Floats(columns), bias = biased ? sample.Floats(columns) : [];
        TensorView y = fixture.Of(new Shape(rows, columns), before, shift);

        ScaleColumns.Forward(y, fixture.Of(row, scale, shift), biased ? fixture.Of(row, bias, shift) : default);

        double[] expected = ScaleColumnsReference.Forward(Sample.Widen(before), Sample.Widen(scale), Sample.Widen(bias));
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(1));
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView y = fixture.Empty(new Shape(2, 8)), good = fixture.Empty(new Shape(8)), bad = fixture.Empty(new Shape(7));
        string Refusal(TensorView scale, TensorView bias) => Assert.Throws<ShapeException>(() => ScaleColumns.Forward(y, scale, bias)).Message;
        Assert.Contains("scale must be f32[8], got f32[7]@cpu", Refusal(bad, default), StringComparison.Ordinal);
        Assert.Contains("bias must be f32[8], got f32[7]@cpu", Refusal(good, bad), StringComparison.Ordinal);
    }

    [Fact]
    public void Results_do_not_depend_on_the_thread_count()
    {
        var sample = new Sample(2);
        float[] before = sample.Floats(500 * 129), scale = sample.Floats(129);
        float[] Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            TensorView y = fixture.Of(new Shape(500, 129), before);
            ScaleColumns.Forward(y, fixture.Of(new Shape(129), scale), default);
            return y.ToFloats();
        }

        Assert.Equal(Run(1), Run(3));
    }
}
