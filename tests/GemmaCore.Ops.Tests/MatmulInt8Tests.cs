using GemmaCore.Checkpoints;
using GemmaCore.Cuda;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class MatmulInt8Tests
{
    private static readonly string[] Names = ["gauss_96x256", "heavy_64x144", "odd_7x33"];

    public static IEnumerable<(string, int, int, int)> Shapes =>
        from row in TestDevices.Spread<(int Rows, int Outputs, int Inputs)>(
            [(1, 3, 5), (1, 40, 264), (1, 48, 640), (3, 17, 33), (8, 9, 131), (8, 16, 320), (3, 2576, 128), (2, 5136, 64), (9, 33, 16), (20, 70, 264), (20, 80, 192), (70, 72, 64), (13, 300, 67),
             (20, 80, 1344), (70, 1040, 128), (521, 16, 64)])
        select (row.Device, row.Case.Rows, row.Case.Outputs, row.Case.Inputs);

    [Fact]
    public void Codes_magnitudes_and_products_are_those_of_bitsandbytes()
    {
        using var fixture = new OpFixture();
        const string file = "int8/rows.safetensors";
        using SafetensorsFile golden = SafetensorsFile.Open(Goldens.Path(file), fixture.Device);
        foreach (string name in Names)
        {
            TensorView weight = golden.View($"{name}.weight"), expectedCodes = golden.View($"{name}.int8");
            sbyte[] codes = new sbyte[weight.Shape.ElementCount];
            var absmax = new float[weight.Shape[0]];
            Int8.Quantize(weight.ToFloats(), weight.Shape[1], codes, absmax);
            int equal = golden.View($"{name}.row_absmax").ToFloats().Zip(absmax).Count(pair => pair.First == pair.Second);
            Assert.Equal(0, Parity.ReportExact("int8", file, "magnitudes of rows", equal, absmax.Length));
            equal = expectedCodes.AsSpan<sbyte>().ToArray().Zip(codes).Count(pair => pair.First == pair.Second);
            Assert.Equal(0, Parity.ReportExact("int8", file, "codes", equal, codes.Length));

            TensorView x = golden.View($"{name}.x"), y = fixture.Empty(new Shape(x.Shape[0], weight.Shape[0]));
            var matrix = new Int8Matrix(expectedCodes, golden.View($"{name}.row_absmax"));
            MatmulInt8.Forward(fixture.Of(x.Shape, x.ToFloats()), matrix, default, y, null);
            double error = Tolerance.RelativeError(y.ToFloats(), golden.View($"{name}.y_weight_only").ToFloats());
            Assert.InRange(Parity.Report("int8", file, "product with weights in codes", error, 1e-5), 0, 1e-5);
        }
    }

    // Of every fp16, the values beside it, half way to the next and just off that.
    [Fact]
    public void Weights_are_taken_in_half_precision()
    {
        float[] halves = [.. Enumerable.Range(0, 0x7c00).Select(bits => (float)BitConverter.UInt16BitsToHalf((ushort)bits))];
        float[] between = [.. halves.Zip(halves.Skip(1), (low, high) => (low + high) / 2)], exact = [.. halves, .. between];
        float[] values = [.. exact, .. exact.Select(MathF.BitIncrement), .. exact.Select(MathF.BitDecrement)];
        var absmax = new float[values.Length];
        Int8.Quantize([.. values.Select((value, i) => i % 2 == 0 ? value : -value)], 1, new sbyte[values.Length], absmax);
        Assert.Equal(values.Select(value => Math.Abs((float)(Half)value)), absmax);

        // 0.5 is half of the largest magnitude, a tie that goes to the even 64; what fp16 makes of its neighbours is 0.5 too.
        sbyte[] codes = new sbyte[4];
        Int8.Quantize([1, 0.5f, MathF.BitDecrement(0.5f)], 3, codes.AsSpan(0, 3), new float[1]);
        Assert.Equal([127, 64, 64], codes[..3]);
        Int8.Quantize([1e6f, -5e5f], 2, codes.AsSpan(0, 2), absmax.AsSpan(0, 1));
        Assert.Equal((1e6f, 127, -64), (absmax[0], codes[0], codes[1]));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference(string device, int rows, int outputs, int inputs)
    {
        using var fixture = new OpFixture(device);
        using var quantised = new QuantizedSample(fixture.Device, new Shape(outputs, inputs), seed: 1);
        var sample = new Sample(2);
        float[] x = sample.Floats(rows * inputs), bias = sample.Floats(outputs);
        TensorView y = fixture.Empty(new Shape(rows, outputs));

        MatmulInt8.Forward(fixture.Of(new Shape(rows, inputs), x), quantised.Int8, fixture.Of(new Shape(outputs), bias), y, null);

        QuantizedSample.AssertProduct(fixture.Device, y.ToFloats(), x, quantised.DenseInt8, bias, inputs);
    }

    // As of int8-128, with which it shares the product.
    [Theory]
    [InlineData(3, 7)]
    [InlineData(4, 129)]
    [InlineData(7, 267)]
    [InlineData(33, 640)]
    [InlineData(500, 1152)]
    public void A_row_is_the_same_bit_for_bit_whatever_stands_beside_it_on_any_number_of_threads(int outputs, int inputs)
    {
        float[] alone = FewRows.Products(1, outputs, inputs, sample => sample.Int8, 1)[0];
        foreach (int threads in (int[])[1, 2, 3])
            Assert.All(FewRows.Products(threads, outputs, inputs, sample => sample.Int8, 1, 2, 3, 4, 5, 6, 7, 8), together => Assert.Equal(alone, together));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Backward_matches_the_reference(string device, int rows, int outputs, int inputs)
    {
        using var fixture = new OpFixture(device);
        using var quantised = new QuantizedSample(fixture.Device, new Shape(outputs, inputs), seed: 3);
        var sample = new Sample(4);
        float[] dY = sample.Floats(rows * outputs);
        TensorView x = fixture.Of(new Shape(rows, inputs), sample.Floats(rows * inputs)), y = fixture.Empty(new Shape(rows, outputs));
        fixture.Want(x);

        MatmulInt8.Forward(x, quantised.Int8, default, y, fixture.Tape);
        float[] dX = fixture.Backward(y, dY, x)[0];

        // dX = dY·W: the product with the transposed matrix.
        QuantizedSample.AssertProduct(fixture.Device, dX, dY, MatmulReference.Transpose(quantised.DenseInt8, inputs), [], outputs);
    }

    // A head's way on cards: slabs of 16 rows here, the last one short.
    public static IEnumerable<(string, int, int, int)> SlabShapes =>
        from row in TestDevices.Spread<(int Rows, int Outputs, int Inputs)>([(1, 40, 24), (3, 50, 33), (9, 33, 64), (20, 1101, 40), (5, 48, 128)])
        where row.Device != "cpu"
        select (row.Device, row.Case.Rows, row.Case.Outputs, row.Case.Inputs);

    [Theory]
    [MemberData(nameof(SlabShapes))]
    public void Slabs_of_a_large_matrix_match_the_reference_both_ways(string device, int rows, int outputs, int inputs)
    {
        using var fixture = new OpFixture(device);
        using var quantised = new QuantizedSample(fixture.Device, new Shape(outputs, inputs), seed: 6);
        var card = (CudaDevice)fixture.Device;
        int slabRows = outputs > 1000 ? 1060 : 16; // one past a block of columns
        var sample = new Sample(7);
        float[] x = sample.Floats(rows * inputs), bias = sample.Floats(outputs), dY = sample.Floats(rows * outputs), before = sample.Floats(rows * inputs);
        TensorView y = fixture.Empty(new Shape(rows, outputs)), dX = fixture.Empty(new Shape(rows, inputs)), added = fixture.Of(new Shape(rows, inputs), before);

        MatmulInt8.ForwardSlabs(card, fixture.Of(new Shape(rows, inputs), x), quantised.Int8, fixture.Of(new Shape(outputs), bias), y, slabRows);
        MatmulInt8.BackwardSlabs(card, fixture.Of(new Shape(rows, outputs), dY), quantised.Int8, dX, false, slabRows);
        MatmulInt8.BackwardSlabs(card, fixture.Of(new Shape(rows, outputs), dY), quantised.Int8, added, true, slabRows);

        QuantizedSample.AssertProduct(fixture.Device, y.ToFloats(), x, quantised.DenseInt8, bias, inputs);
        double[] transposed = MatmulReference.Transpose(quantised.DenseInt8, inputs);
        QuantizedSample.AssertProduct(fixture.Device, dX.ToFloats(), dY, transposed, [], outputs);
        // Added up within the product: the sum of what was there and the product, rounded once more.
        float[] expected = [.. dX.ToFloats().Zip(before, (product, old) => product + old)];
        Assert.InRange(Tolerance.RelativeError(added.ToFloats(), expected), 0, Tolerance.Float32(outputs / slabRows + 1));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void The_product_with_the_matrix_as_it_lies_matches_the_reference(string device, int rows, int outputs, int inputs)
    {
        using var fixture = new OpFixture(device);
        using var quantised = new QuantizedSample(fixture.Device, new Shape(outputs, inputs), seed: 8);
        float[] x = new Sample(9).Floats(rows * outputs);
        TensorView y = fixture.Empty(new Shape(rows, inputs));
        quantised.Int8.MultiplyInOut(fixture.Of(new Shape(rows, outputs), x), y);
        QuantizedSample.AssertProduct(fixture.Device, y.ToFloats(), x, MatmulReference.Transpose(quantised.DenseInt8, inputs), [], outputs);
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        using var quantised = new QuantizedSample(fixture.Device, new Shape(5, 8), seed: 5);
        Assert.Contains(
            "w must be [O, 7]",
            Assert.Throws<ShapeException>(() => MatmulInt8.Forward(fixture.Empty(new Shape(2, 7)), quantised.Int8, default, fixture.Empty(new Shape(2, 5)), null)).Message,
            StringComparison.Ordinal);
        Assert.Contains(
            "w must be [7, O]",
            Assert.Throws<ShapeException>(() => MatmulInt8.ForwardInOut(fixture.Empty(new Shape(2, 7)), quantised.Int8, fixture.Empty(new Shape(2, 8)))).Message,
            StringComparison.Ordinal);
        Assert.Contains(
            "absmax must be f32[5]",
            Assert.Throws<ShapeException>(() => new Int8Matrix(quantised.Int8.Codes, fixture.Empty(new Shape(4)))).Message, StringComparison.Ordinal);
    }
}
