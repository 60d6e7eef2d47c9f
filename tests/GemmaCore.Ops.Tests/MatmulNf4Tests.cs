using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class MatmulNf4Tests
{
    // Whole blocks a row, rows that share blocks, odd rows, the shape of one block, several parts; one row, a few, many. Whole tiles, which few rows of a card
    // are multiplied by as they lie; the widest are tiles enough for two in a warp (an odd number of them) and for fewer warps to split the depth. More rows
    // whose products are cut along the depth, and so many that the matrix is written out.
    public static IEnumerable<(string, int, int, int, bool)> Shapes =>
        from row in TestDevices.Spread<(int Rows, int Outputs, int Inputs, bool Nested)>(
            [(1, 1, 1, false), (1, 3, 64, true), (1, 16, 64, true), (1, 304, 256, true), (1, 48, 320, false), (1, 5, 27, true), (3, 17, 72, true), (8, 9, 131, false), (8, 48, 704, true),
             (3, 2576, 128, false), (2, 5136, 64, true), (7, 16, 1344, true), (7, 13, 320, true), (9, 33, 64, true), (20, 80, 192, true), (20, 70, 144, true), (13, 300, 67, false), (70, 528, 64, true),
             (20, 80, 1344, false), (70, 1040, 128, true), (521, 16, 64, true)])
        select (row.Device, row.Case.Rows, row.Case.Outputs, row.Case.Inputs, row.Case.Nested);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference(string device, int rows, int outputs, int inputs, bool nested)
    {
        using var fixture = new OpFixture(device);
        using var quantised = new QuantizedSample(fixture.Device, new Shape(outputs, inputs), seed: 1);
        Nf4Matrix w = nested ? quantised.Nf4Nested : quantised.Nf4;
        var sample = new Sample(2);
        float[] x = sample.Floats(rows * inputs), bias = sample.Floats(outputs);
        TensorView y = fixture.Empty(new Shape(rows, outputs));

        MatmulNf4.Forward(fixture.Of(new Shape(rows, inputs), x), w, fixture.Of(new Shape(outputs), bias), y, null);

        double[] dense = nested ? quantised.DenseNf4Nested : quantised.DenseNf4;
        QuantizedSample.AssertProduct(fixture.Device, y.ToFloats(), x, dense, bias, inputs, Nf4Rounding.Of(fixture.Device, x, dense, inputs));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Backward_matches_the_reference(string device, int rows, int outputs, int inputs, bool nested)
    {
        using var fixture = new OpFixture(device);
        using var quantised = new QuantizedSample(fixture.Device, new Shape(outputs, inputs), seed: 3);
        Nf4Matrix w = nested ? quantised.Nf4Nested : quantised.Nf4;
        var sample = new Sample(4);
        float[] dY = sample.Floats(rows * outputs);
        TensorView x = fixture.Of(new Shape(rows, inputs), sample.Floats(rows * inputs)), y = fixture.Empty(new Shape(rows, outputs));
        fixture.Want(x);

        MatmulNf4.Forward(x, w, default, y, fixture.Tape);
        float[] dX = fixture.Backward(y, dY, x)[0];

        // dX = dY·W: the product with the transposed matrix.
        QuantizedSample.AssertProduct(fixture.Device, dX, dY, MatmulReference.Transpose(nested ? quantised.DenseNf4Nested : quantised.DenseNf4, inputs), [], outputs);
    }

    // Whole vectors of codes, a last half one, nothing but a half one, rows that share blocks; columns of y that are no multiple of a tile; more than a part.
    public static TheoryData<int, int, bool> FewRowShapes =>
        [.. from size in ((int Outputs, int Inputs)[])[(33, 640), (4, 704), (9, 64), (7, 72), (700, 1152)] from nested in (bool[])[false, true] select (size.Outputs, size.Inputs, nested)];

    // What rounding x by blocks could spoil: an element far above the others of its block, blocks far from each other, a block of zeros, magnitudes that a step cannot have.
    [Fact]
    public void A_few_rows_of_uneven_magnitudes_match_the_reference()
    {
        using var fixture = new OpFixture();
        const int rows = 7, outputs = 33, inputs = 7 * Nf4.BlockSize;
        using var quantised = new QuantizedSample(fixture.Device, new Shape(outputs, inputs), seed: 11);
        float[] x = new Sample(12).Floats(rows * inputs);
        for (int i = 0; i < x.Length; i++)
        {
            int row = i / inputs, column = i % inputs, block = column / Nf4.BlockSize;
            x[i] *= row switch
            {
                0 => column % Nf4.BlockSize == 9 * block ? 1e4f : 1,
                1 => MathF.Pow(10, block - 3),
                2 => block % 2,
                3 => block == 3 ? 0 : 1e-36f,
                _ => 1,
            };
        }

        TensorView y = fixture.Empty(new Shape(rows, outputs));
        MatmulNf4.Forward(fixture.Of(new Shape(rows, inputs), x), quantised.Nf4, default, y, null);
        for (int row = 0; row < rows; row++)
        {
            float[] one = x[(row * inputs)..((row + 1) * inputs)];
            QuantizedSample.AssertProduct(
                fixture.Device, y.Slice(row, 1).ToFloats(), one, quantised.DenseNf4, [], inputs, Nf4Rounding.Of(fixture.Device, one, quantised.DenseNf4, inputs));
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void What_is_no_number_shows_in_its_row_and_in_no_other(float intruder)
    {
        using var fixture = new OpFixture();
        const int rows = 7, outputs = 33, inputs = 3 * Nf4.BlockSize;
        using var quantised = new QuantizedSample(fixture.Device, new Shape(outputs, inputs), seed: 13);
        float[] x = new Sample(14).Floats(rows * inputs);
        float[] Product()
        {
            TensorView y = fixture.Empty(new Shape(rows, outputs));
            MatmulNf4.Forward(fixture.Of(new Shape(rows, inputs), x), quantised.Nf4, default, y, null);
            return y.ToFloats();
        }

        float[] before = Product();
        foreach (int row in (int[])[1, 4, 6]) x[row * inputs + 70 + row] = intruder;
        float[] after = Product();
        for (int i = 0; i < after.Length; i++)
        {
            if (i / outputs is 1 or 4 or 6) Assert.False(float.IsFinite(after[i]));
            else Assert.Equal(before[i], after[i]);
        }
    }

    // What serving rests on: an answer does not change with what else is answered at the time, nor with the number of threads.
    [Theory]
    [MemberData(nameof(FewRowShapes))]
    public void A_row_is_the_same_bit_for_bit_whatever_stands_beside_it_on_any_number_of_threads(int outputs, int inputs, bool nested)
    {
        WeightMatrix Weight(QuantizedSample sample) => nested ? sample.Nf4Nested : sample.Nf4;
        float[] alone = FewRows.Products(1, outputs, inputs, Weight, 1)[0];
        Assert.All(FewRows.Products(3, outputs, inputs, Weight, 1, 2, 3, 4, 5, 6, 7, 8), together => Assert.Equal(alone, together));
    }

    public static TheoryData<string> CpuAndCards => ["cpu", .. TestDevices.Cards(2)];

    // From 1e-30 to 1e30, which half does not hold; and what is computed for a row is the same alone and beside others.
    [Theory]
    [MemberData(nameof(CpuAndCards))]
    public void A_few_rows_are_computed_each_for_itself_whatever_their_magnitude(string device)
    {
        using var fixture = new OpFixture(device);
        const int rows = 7, outputs = 48, inputs = 192;
        using var quantised = new QuantizedSample(fixture.Device, new Shape(outputs, inputs), seed: 6);
        float[] x = new Sample(7).Floats(rows * inputs);
        for (int i = 0; i < x.Length; i++) x[i] *= MathF.Pow(10, 10 * (i / inputs) - 30);
        TensorView all = fixture.Of(new Shape(rows, inputs), x), y = fixture.Empty(new Shape(rows, outputs)), alone = fixture.Empty(new Shape(1, outputs));

        foreach ((WeightMatrix w, double[] dense) in ((WeightMatrix, double[])[])[(quantised.Nf4Nested, quantised.DenseNf4Nested), (quantised.Int8, quantised.DenseInt8), (quantised.Int8Groups, quantised.DenseInt8Groups)])
        {
            w.Multiply(all, default, y, null);
            for (int row = 0; row < rows; row++)
            {
                w.Multiply(all.Slice(row, 1), default, alone, null);
                float[] ours = y.Slice(row, 1).ToFloats();
                Assert.Equal(alone.ToFloats(), ours);
                float[] one = x[(row * inputs)..((row + 1) * inputs)];
                double[]? rounding = w is Nf4Matrix ? Nf4Rounding.Of(fixture.Device, one, dense, inputs) : null;
                QuantizedSample.AssertProduct(fixture.Device, ours, one, dense, [], inputs, rounding);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void The_product_with_the_matrix_as_it_lies_matches_the_reference(string device, int rows, int outputs, int inputs, bool nested)
    {
        using var fixture = new OpFixture(device);
        using var quantised = new QuantizedSample(fixture.Device, new Shape(outputs, inputs), seed: 8);
        float[] x = new Sample(9).Floats(rows * outputs);
        TensorView y = fixture.Empty(new Shape(rows, inputs));
        (nested ? quantised.Nf4Nested : quantised.Nf4).MultiplyInOut(fixture.Of(new Shape(rows, outputs), x), y);
        QuantizedSample.AssertProduct(fixture.Device, y.ToFloats(), x, MatmulReference.Transpose(nested ? quantised.DenseNf4Nested : quantised.DenseNf4, inputs), [], outputs);
    }

    // The path for a few rows without AVX-512 rests on it, and so does what Nf4Rounding allows it.
    [Fact]
    public void Integers_stand_for_the_values_within_the_error_they_promise()
    {
        Assert.All(Nf4.Values, value => Assert.InRange(Nf4Integers.Of(value) / (double)Nf4Integers.One, value - Nf4Integers.LargestError, value + Nf4Integers.LargestError));
        Assert.True(4L * Nf4Integers.One * short.MaxValue <= int.MaxValue, "four products of the largest integers must not overflow");
    }

    [Fact]
    public void Parts_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        using var quantised = new QuantizedSample(fixture.Device, new Shape(5, 64), seed: 5);
        string Refusal(Func<object?> action) => Assert.Throws<ShapeException>(() => _ = action()).Message;

        Assert.Contains("must be 192 bytes", Refusal(() => new Nf4Matrix(new Shape(6, 64), quantised.Nf4.Codes, quantised.Nf4.Absmax)), StringComparison.Ordinal);
        Assert.Contains(
            "has 5 blocks of 64, got 4 magnitudes", Refusal(() => new Nf4Matrix(new Shape(5, 64), quantised.Nf4.Codes, new Nf4Absmax(fixture.Empty(new Shape(4))))),
            StringComparison.Ordinal);
        Assert.Contains(
            "w must be [O, 63]", Refusal(() => { MatmulNf4.Forward(fixture.Empty(new Shape(2, 63)), quantised.Nf4, default, fixture.Empty(new Shape(2, 5)), null); return null; }),
            StringComparison.Ordinal);
    }
}
