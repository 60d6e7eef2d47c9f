using GemmaCore.Checkpoints;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed class MatmulInt8Tests
{
    private static readonly string[] Names = ["gauss_96x256", "heavy_64x144", "odd_7x33"];

    public static IEnumerable<(string, int, int, int)> Shapes =>
        from row in TestDevices.Spread<(int Rows, int Outputs, int Inputs)>(
            [(1, 3, 5), (1, 40, 264), (1, 40, 640), (3, 17, 33), (8, 9, 131), (8, 17, 320), (3, 2600, 128), (9, 33, 16), (20, 70, 264), (70, 72, 64), (13, 300, 67)])
        select (row.Device, row.Case.Rows, row.Case.Outputs, row.Case.Inputs);

    [Fact]
    public void Codes_magnitudes_and_products_are_those_of_bitsandbytes()
    {
        using var fixture = new OpFixture();
        using SafetensorsFile golden = SafetensorsFile.Open(Goldens.Path("int8/rows.safetensors"), fixture.Device);
        foreach (string name in Names)
        {
            TensorView weight = golden.View($"{name}.weight"), expectedCodes = golden.View($"{name}.int8");
            sbyte[] codes = new sbyte[weight.Shape.ElementCount];
            var absmax = new float[weight.Shape[0]];
            Int8.Quantize(weight.ToFloats(), weight.Shape[1], codes, absmax);
            Assert.Equal(golden.View($"{name}.row_absmax").ToFloats(), absmax);
            Assert.Equal(expectedCodes.AsSpan<sbyte>().ToArray(), codes);

            TensorView x = golden.View($"{name}.x"), y = fixture.Empty(new Shape(x.Shape[0], weight.Shape[0]));
            var matrix = new Int8Matrix(expectedCodes, golden.View($"{name}.row_absmax"));
            MatmulInt8.Forward(fixture.Of(x.Shape, x.ToFloats()), matrix, default, y, null);
            Assert.InRange(Tolerance.RelativeError(y.ToFloats(), golden.View($"{name}.y_weight_only").ToFloats()), 0, 1e-5);
        }
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
            "absmax must be f32[5]",
            Assert.Throws<ShapeException>(() => new Int8Matrix(quantised.Int8.Codes, fixture.Empty(new Shape(4)))).Message, StringComparison.Ordinal);
    }
}
