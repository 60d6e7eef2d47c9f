using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class MatmulInt8GroupTests
{
    // One element, rows within a vector and a group, of whole groups, with a last one of one element, of no whole vector, of vectors and a rest; columns of y one
    // past a tile; more than a part; one row of x, a few, many. Whole tiles, of few rows and of many, as for NF4.
    public static IEnumerable<(string, int, int, int)> Shapes =>
        from row in TestDevices.Spread<(int Rows, int Outputs, int Inputs)>(
            [(1, 1, 1), (1, 3, 5), (1, 40, 264), (2, 5, 17), (3, 17, 256), (4, 2, 127), (5, 3, 129), (7, 13, 149), (8, 9, 131), (8, 1100, 257), (9, 33, 128), (20, 70, 392), (70, 72, 64), (13, 300, 267),
             (1, 48, 1344), (4, 16, 192), (3, 2576, 128), (2, 5136, 64), (20, 80, 192), (20, 80, 1344), (70, 1040, 128), (521, 16, 64)])
        select (row.Device, row.Case.Rows, row.Case.Outputs, row.Case.Inputs);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference(string device, int rows, int outputs, int inputs)
    {
        using var fixture = new OpFixture(device);
        using var quantised = new QuantizedSample(fixture.Device, new Shape(outputs, inputs), seed: 1);
        var sample = new Sample(2);
        float[] x = sample.Floats(rows * inputs), bias = sample.Floats(outputs);
        TensorView y = fixture.Empty(new Shape(rows, outputs));

        MatmulInt8Group.Forward(fixture.Of(new Shape(rows, inputs), x), quantised.Int8Groups, fixture.Of(new Shape(outputs), bias), y, null);

        QuantizedSample.AssertProduct(fixture.Device, y.ToFloats(), x, quantised.DenseInt8Groups, bias, inputs);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Backward_matches_the_reference_and_so_does_the_product_with_the_matrix_as_it_lies(string device, int rows, int outputs, int inputs)
    {
        using var fixture = new OpFixture(device);
        using var quantised = new QuantizedSample(fixture.Device, new Shape(outputs, inputs), seed: 3);
        var sample = new Sample(4);
        float[] dY = sample.Floats(rows * outputs);
        TensorView x = fixture.Of(new Shape(rows, inputs), sample.Floats(rows * inputs)), y = fixture.Empty(new Shape(rows, outputs)), product = fixture.Empty(x.Shape);
        fixture.Want(x);

        MatmulInt8Group.Forward(x, quantised.Int8Groups, default, y, fixture.Tape);
        float[] dX = fixture.Backward(y, dY, x)[0];
        quantised.Int8Groups.MultiplyInOut(fixture.Of(y.Shape, dY), product);

        // dX = dY·W: the product with the transposed matrix.
        QuantizedSample.AssertProduct(fixture.Device, dX, dY, MatmulReference.Transpose(quantised.DenseInt8Groups, inputs), [], outputs);
        Assert.Equal(dX, product.ToFloats());
    }

    // Within a vector, a group, one past both, whole groups, a last group of one element, of no whole vector; more than a part.
    public static TheoryData<int, int> FewRowShapes => [.. ((int, int)[])[(3, 7), (9, 127), (4, 129), (33, 640), (7, 267), (500, 1152)]];

    // What serving rests on: an answer does not change with what else is answered at the time, nor with the number of threads.
    [Theory]
    [MemberData(nameof(FewRowShapes))]
    public void A_row_is_the_same_bit_for_bit_whatever_stands_beside_it_on_any_number_of_threads(int outputs, int inputs)
    {
        float[] alone = FewRows.Products(1, outputs, inputs, sample => sample.Int8Groups, 1)[0];
        foreach (int threads in (int[])[1, 2, 3])
            Assert.All(FewRows.Products(threads, outputs, inputs, sample => sample.Int8Groups, 1, 2, 3, 4, 5, 6, 7, 8), together => Assert.Equal(alone, together));
    }

    // Every group's scale is another power of two, so that a group that is left out or gets its neighbour's scale is a different number, not a rounding.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    public void Every_group_is_multiplied_by_its_own_scale(int rows)
    {
        const int outputs = 3, inputs = 3 * Int8Group.Size + 21;
        using var fixture = new OpFixture();
        var scales = new Half[outputs * 4];
        for (int i = 0; i < scales.Length; i++) scales[i] = (Half)MathF.ScaleB(1, i - 6);
        using var codes = new DeviceBuffer(fixture.Device, new Shape(outputs, inputs), DType.I8);
        using var groups = new DeviceBuffer(fixture.Device, new Shape(outputs, 4), DType.F16);
        codes.View.AsSpan<sbyte>().Fill(1);
        scales.CopyTo(groups.View.AsSpan<Half>());
        float[] ones = new float[rows * inputs];
        Array.Fill(ones, 1);
        TensorView y = fixture.Empty(new Shape(rows, outputs));

        MatmulInt8Group.Forward(fixture.Of(new Shape(rows, inputs), ones), new Int8GroupMatrix(codes.View, groups.View), default, y, null);

        // 128·(1 + 2 + 4) + 21·8 of a row's first scale: sums of few bits, exact in any order.
        float[] expected = [.. Enumerable.Range(0, rows * outputs).Select(i => 1064 * MathF.ScaleB(1, i % outputs * 4 - 6))];
        Assert.Equal(expected, y.ToFloats());
    }

    // Magnitudes from the smallest fp16 scales to large ones, a group of zeros, one of one element.
    [Theory]
    [InlineData(1f)]
    [InlineData(1e-7f)]
    [InlineData(3e-5f)]
    [InlineData(4e6f)]
    public void No_element_is_off_by_more_than_half_a_scale(float magnitude)
    {
        const int columns = 257;
        float[] values = Array.ConvertAll(new Sample(5).Floats(3 * columns), value => value * magnitude);
        values.AsSpan(columns, 128).Clear();
        var codes = new sbyte[values.Length];
        var scales = new Half[3 * 3];
        Int8Group.Quantize(values, columns, codes, scales);
        double[] dense = MatmulInt8GroupReference.Matrix(codes, scales, columns);
        for (int i = 0; i < values.Length; i++)
        {
            double scale = (double)scales[i / columns * 3 + i % columns / 128];
            Assert.InRange(Math.Abs(dense[i] - values[i]), 0, scale / 2 * (1 + 1e-6));
            if (scale == 0) Assert.Equal(0, codes[i]);
        }

        Assert.Equal(0, (float)scales[3]);
        // Where fp16 is not at its end, a group's largest magnitude gets (nearly) the largest code.
        if (magnitude > 1e-2f) Assert.InRange(codes.AsSpan(0, 128).ToArray().Max(code => Math.Abs((int)code)), 126, 127);
    }

    [Fact]
    public void A_magnitude_beyond_fp16_scales_is_seen_in_the_scale()
    {
        var scales = new Half[1];
        Int8Group.Quantize([1e7f, 1], 2, new sbyte[2], scales);
        Assert.True(Half.IsInfinity(scales[0]));
    }

    [Fact]
    public void An_outlier_spoils_its_group_only()
    {
        float[] values = new Sample(6).Floats(512);
        values[3] = 1000;
        var codes = new sbyte[512];
        var scales = new Half[4];
        Int8Group.Quantize(values, 512, codes, scales);
        double[] dense = MatmulInt8GroupReference.Matrix(codes, scales, 512);
        Assert.All(Enumerable.Range(128, 384), i => Assert.InRange(Math.Abs(dense[i] - values[i]), 0, 1 / 127.0));
        var rowCodes = new sbyte[512];
        var absmax = new float[1];
        Int8.Quantize(values, 512, rowCodes, absmax);
        Assert.True(Enumerable.Range(128, 384).Any(i => Math.Abs(rowCodes[i] * absmax[0] / 127 - values[i]) > 0.5), "rows of 8 bits would have done as well");
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        using var quantised = new QuantizedSample(fixture.Device, new Shape(5, 200), seed: 5);
        Assert.Contains(
            "w must be [O, 7]",
            Assert.Throws<ShapeException>(() => MatmulInt8Group.Forward(fixture.Empty(new Shape(2, 7)), quantised.Int8Groups, default, fixture.Empty(new Shape(2, 5)), null)).Message,
            StringComparison.Ordinal);
        Assert.Contains(
            "scales must be f16[5, 2], got f32[5, 2]",
            Assert.Throws<ShapeException>(() => new Int8GroupMatrix(quantised.Int8Groups.Codes, fixture.Empty(new Shape(5, 2)))).Message, StringComparison.Ordinal);
        Assert.Contains(
            "codes must be i8[O, K]",
            Assert.Throws<ShapeException>(() => new Int8GroupMatrix(fixture.Empty(new Shape(5, 2)), quantised.Int8Groups.Scales)).Message, StringComparison.Ordinal);
    }
}
