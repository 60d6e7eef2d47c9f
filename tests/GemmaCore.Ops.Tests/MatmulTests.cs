using System.Numerics;
using System.Runtime.InteropServices;
using GemmaCore.Cuda;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed partial class MatmulTests : IDisposable
{
    private readonly List<DeviceBuffer> _buffers = [];

    // Rows, outputs, inputs: one; a prime; one past a vector; one past a tile; one past a packed slice of the depth; several parts; rows of whole
    // 16-byte vectors; a depth that is split between warps, and one that is split between blocks.
    private static readonly (int Rows, int Outputs, int Inputs)[] Sizes =
    [
        (1, 1, 1), (2, 3, 1), (3, 7, 5), (1, 17, 33), (8, 9, 131), (9, 33, 17), (13, 33, 257), (37, 129, 61), (97, 150, 531), (300, 260, 67),
        (4, 40, 264), (70, 72, 64), (1, 12, 1160), (5, 9, 2051), (20, 40, 1032), (11, 70, 1027),
    ];

    private static readonly DType[] Types = [DType.F32, DType.BF16, DType.F16];

    public static IEnumerable<(string, int, int, int, DType)> Shapes =>
        from row in TestDevices.Spread(from size in Sizes from type in Types select (size, type))
        select (row.Device, row.Case.size.Rows, row.Case.size.Outputs, row.Case.size.Inputs, row.Case.type);

    public static IEnumerable<(string, int, int, int, DType)> SmallShapes =>
        from row in TestDevices.Spread<(int Rows, int Outputs, int Inputs, DType Type)>(
            [(1, 1, 1, DType.F32), (3, 7, 5, DType.BF16), (2, 17, 33, DType.F16), (13, 33, 17, DType.F32), (5, 300, 37, DType.BF16), (6, 16, 24, DType.BF16)])
        select (row.Device, row.Case.Rows, row.Case.Outputs, row.Case.Inputs, row.Case.Type);

    public static TheoryData<string> Devices => ["cpu", .. TestDevices.Cards()];

    public void Dispose()
    {
        foreach (DeviceBuffer buffer in _buffers) buffer.Dispose();
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference(string device, int rows, int outputs, int inputs, DType type)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(1);
        float[] x = sample.Floats(rows * inputs), bias = sample.Floats(outputs);
        TensorView w = Weights(fixture, sample, new Shape(outputs, inputs), type), y = fixture.Empty(new Shape(rows, outputs));

        Matmul.Forward(fixture.Of(new Shape(rows, inputs), x), w, fixture.Of(new Shape(outputs), bias), y, null);

        double[] matrix = Sample.Widen(w.ToFloats());
        double[] expected = MatmulReference.Forward<double, RealFunctions>(Sample.Widen(x), matrix, Sample.Widen(bias), inputs);
        bool rounds = rows > MatmulPlan.MostTokens;
        AssertClose(rounds ? Tolerance.MatrixUnit(fixture.Device) : 0, y, expected, Sample.Widen(x), matrix, inputs);
    }

    // Depths below and above what a first-level cache holds, with and without what fills no vector; outputs that are no multiple of a tile.
    public static IEnumerable<(string, int, int, DType)> FewRowShapes =>
        from row in TestDevices.Spread(
            from size in ((int Outputs, int Inputs)[])[(33, 640), (40, 1160), (7, 77), (19, 4500)] from type in Types select (size, type))
        select (row.Device, row.Case.size.Outputs, row.Case.size.Inputs, row.Case.type);

    // What serving rests on: an answer does not change with what else is answered at the time.
    [Theory]
    [MemberData(nameof(FewRowShapes))]
    public void A_row_is_the_same_bit_for_bit_whatever_up_to_seven_others_stand_beside_it(string device, int outputs, int inputs, DType type)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(5);
        TensorView x = fixture.Of(new Shape(8, inputs), sample.Floats(8 * inputs)), w = Weights(fixture, sample, new Shape(outputs, inputs), type);
        TensorView bias = fixture.Of(new Shape(outputs), sample.Floats(outputs)), alone = fixture.Empty(new Shape(8, outputs)), together = fixture.Empty(new Shape(8, outputs));
        for (int row = 0; row < 8; row++) Matmul.Forward(x.Slice(row, 1), w, bias, alone.Slice(row, 1), null);
        float[] expected = alone.ToFloats();
        for (int rows = 2; rows <= 8; rows++)
        {
            Matmul.Forward(x.Slice(0, rows), w, bias, together.Slice(0, rows), null);
            Assert.Equal(expected[..(rows * outputs)], together.Slice(0, rows).ToFloats());
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void ForwardInOut_matches_the_reference(string device, int rows, int outputs, int inputs, DType type)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(2);
        float[] x = sample.Floats(rows * inputs);
        TensorView w = Weights(fixture, sample, new Shape(inputs, outputs), type), y = fixture.Empty(new Shape(rows, outputs));

        Matmul.ForwardInOut(fixture.Of(new Shape(rows, inputs), x), w, y, null);

        double[] turned = Turned(w);
        double[] expected = MatmulReference.Forward<double, RealFunctions>(Sample.Widen(x), turned, [], inputs);
        AssertClose(Tolerance.MatrixUnit(fixture.Device), y, expected, Sample.Widen(x), turned, inputs);
    }

    [Theory]
    [MemberData(nameof(SmallShapes))]
    public void Backward_matches_the_complex_step(string device, int rows, int outputs, int inputs, DType type)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(3);
        float[] x = sample.Floats(rows * inputs), dY = sample.Floats(rows * outputs);
        TensorView input = fixture.Of(new Shape(rows, inputs), x), y = fixture.Empty(new Shape(rows, outputs));
        TensorView w = Weights(fixture, sample, new Shape(outputs, inputs), type);
        fixture.Want(input);

        Matmul.Forward(input, w, default, y, fixture.Tape);
        float[] dX = fixture.Backward(y, dY, input)[0];

        double[] weights = Sample.Widen(w.ToFloats());
        double[] expected = ComplexStep.Gradient(
            Sample.Widen(x), Sample.Widen(dY), p => MatmulReference.Forward<Complex, ComplexFunctions>(p, weights, [], inputs));
        AssertClose(Tolerance.MatrixUnit(fixture.Device), dX, expected, Sample.Widen(dY), Turned(w), outputs);
    }

    [Theory]
    [MemberData(nameof(SmallShapes))]
    public void Backward_of_the_in_out_form_matches_the_complex_step(string device, int rows, int outputs, int inputs, DType type)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(4);
        float[] x = sample.Floats(rows * inputs), dY = sample.Floats(rows * outputs);
        TensorView input = fixture.Of(new Shape(rows, inputs), x), y = fixture.Empty(new Shape(rows, outputs));
        TensorView w = Weights(fixture, sample, new Shape(inputs, outputs), type);
        fixture.Want(input);

        Matmul.ForwardInOut(input, w, y, fixture.Tape);
        float[] dX = fixture.Backward(y, dY, input)[0];

        double[] turned = Turned(w);
        double[] expected = ComplexStep.Gradient(
            Sample.Widen(x), Sample.Widen(dY), p => MatmulReference.Forward<Complex, ComplexFunctions>(p, turned, [], inputs));
        bool rounds = rows > MatmulPlan.MostTokens;
        AssertClose(rounds ? Tolerance.MatrixUnit(fixture.Device) : 0, dX, expected, Sample.Widen(dY), Sample.Widen(w.ToFloats()), outputs);
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Backward_adds_to_a_gradient_that_is_already_there(string device)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(5);
        TensorView x = fixture.Of(new Shape(11, 19), sample.Floats(11 * 19));
        TensorView w1 = fixture.Of(new Shape(23, 19), sample.Floats(23 * 19)), w2 = fixture.Of(new Shape(29, 19), sample.Floats(29 * 19));
        float[] dY1 = sample.Floats(11 * 23), dY2 = sample.Floats(11 * 29);
        TensorView y1 = fixture.Empty(new Shape(11, 23)), y2 = fixture.Empty(new Shape(11, 29));
        fixture.Want(x);

        Matmul.Forward(x, w1, default, y1, fixture.Tape);
        Matmul.Forward(x, w2, default, y2, fixture.Tape);
        fixture.Tape.GradientFor(y2, out _).CopyFrom(dY2);
        float[] dX = fixture.Backward(y1, dY1, x)[0];

        // One product of the gradients side by side and the matrices one above the other.
        double[] dY = [.. Enumerable.Range(0, 11).SelectMany(row => dY1[(row * 23)..((row + 1) * 23)].Concat(dY2[(row * 29)..((row + 1) * 29)])).Select(v => (double)v)];
        double[] matrix = [.. w1.ToFloats().Concat(w2.ToFloats()).Select(v => (double)v)];
        double[] turned = MatmulReference.Transpose(matrix, 19);
        AssertClose(Tolerance.MatrixUnit(fixture.Device), dX, MatmulReference.Forward<double, RealFunctions>(dY, turned, [], 52), dY, turned, 52);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(70)]
    public void Results_do_not_depend_on_the_thread_count(int rows)
    {
        var sample = new Sample(6);
        float[] x = sample.Floats(rows * 517), w = sample.Floats(391 * 517);
        float[] Run(int threads)
        {
            using var fixture = new OpFixture(threads);
            TensorView y = fixture.Empty(new Shape(rows, 391));
            Matmul.Forward(fixture.Of(new Shape(rows, 517), x), fixture.Of(new Shape(391, 517), w), default, y, null);
            return y.ToFloats();
        }

        Assert.Equal(Run(1), Run(3));
    }

    public static IEnumerable<(string, int, int)> RowCounts =>
        from row in TestDevices.Spread<(int Few, int Many)>([(1, 2), (3, 8), (9, 60)]) select (row.Device, row.Case.Few, row.Case.Many);

    [Theory]
    [MemberData(nameof(RowCounts))]
    public void A_row_does_not_depend_on_the_rows_beside_it_within_a_path(string device, int few, int many)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(7);
        TensorView x = fixture.Of(new Shape(many, 304), sample.Floats(many * 304)), w = fixture.Of(new Shape(77, 304), sample.Floats(77 * 304));
        TensorView all = fixture.Empty(new Shape(many, 77)), some = fixture.Empty(new Shape(few, 77));

        Matmul.Forward(x, w, default, all, null);
        Matmul.Forward(x.Slice(0, few), w, default, some, null);

        Assert.Equal(all.ToFloats()[..(few * 77)], some.ToFloats());
    }

    public static IEnumerable<(string, int, int, int)> TransposedShapes =>
        from row in TestDevices.Spread<(int M, int R, int K)>([(5, 3, 7), (129, 16, 131), (300, 131, 16), (1100, 8, 40)])
        select (row.Device, row.Case.M, row.Case.R, row.Case.K);

    [Theory]
    [MemberData(nameof(TransposedShapes))]
    public void Products_with_a_transposed_left_matrix_are_added(string device, int m, int r, int k)
    {
        using var fixture = new OpFixture(device);
        var sample = new Sample(8);
        float[] a = sample.Floats(m * r), b = sample.Floats(m * k), c = sample.Floats(r * k);
        TensorView result = fixture.Of(new Shape(r, k), c);

        MultiplyTransposed(fixture.Of(new Shape(m, r), a), fixture.Of(new Shape(m, k), b), result);

        double[] left = MatmulReference.Transpose(Sample.Widen(a), r), right = MatmulReference.Transpose(Sample.Widen(b), k);
        double[] product = MatmulReference.Forward<double, RealFunctions>(left, right, [], m);
        double[] expected = [.. product.Zip(c, (p, start) => p + start)];
        AssertClose(Tolerance.MatrixUnit(fixture.Device), result, expected, left, right, m);
    }

    [Fact]
    public void Operands_that_do_not_fit_are_refused_by_name()
    {
        using var fixture = new OpFixture();
        TensorView x = fixture.Empty(new Shape(2, 8)), w = fixture.Empty(new Shape(5, 8)), y = fixture.Empty(new Shape(2, 5));

        string Refusal(Action action) => Assert.Throws<ShapeException>(action).Message;

        Assert.Contains("w must be a float matrix [O, 8]", Refusal(() => Matmul.Forward(x, fixture.Empty(new Shape(5, 7)), default, y, null)), StringComparison.Ordinal);
        Assert.Contains("w must be a float matrix [8, O]", Refusal(() => Matmul.ForwardInOut(x, w, y, null)), StringComparison.Ordinal);
        Assert.Contains("w must be a float matrix", Refusal(() => Matmul.Forward(x, fixture.Ints(1, 2), default, y, null)), StringComparison.Ordinal);
        Assert.Contains("bias must be f32[5]", Refusal(() => Matmul.Forward(x, w, fixture.Empty(new Shape(4)), y, null)), StringComparison.Ordinal);
        Assert.Contains("y must have 2 rows of 5", Refusal(() => Matmul.Forward(x, w, default, fixture.Empty(new Shape(2, 6)), null)), StringComparison.Ordinal);
        Assert.Contains("x must be f32", Refusal(() => Matmul.Forward(fixture.Ints(1), w, default, y, null)), StringComparison.Ordinal);
    }

    private static void AssertClose(double unit, TensorView ours, double[] expected, double[] left, double[] right, int inputs) =>
        AssertClose(unit, ours.ToFloats(), expected, left, right, inputs);

    // left [rows, inputs] and right [outputs, inputs] are the product's factors, for the scale of rounded ones.
    private static void AssertClose(double unit, float[] ours, double[] expected, double[] left, double[] right, int inputs)
    {
        if (unit == 0) Assert.InRange(Tolerance.RelativeError(ours, expected), 0, Tolerance.Float32(inputs));
        else Assert.InRange(Tolerance.ScaledError(ours, expected, Scales(left, right, inputs)), 0, Tolerance.RoundedProducts(unit, inputs));
    }

    // √Σ(a·b)² of every element.
    private static double[] Scales(double[] left, double[] right, int inputs)
    {
        double[] Squares(double[] values) => Array.ConvertAll(values, v => v * v);
        return Array.ConvertAll(MatmulReference.Forward<double, RealFunctions>(Squares(left), Squares(right), [], inputs), Math.Sqrt);
    }

    private static unsafe void MultiplyTransposed(TensorView a, TensorView b, TensorView c)
    {
        if (a.Device is CudaDevice cuda) Matmul.TN(cuda, a, b, c, accumulate: true);
        else Gemm.TN(((CpuDevice)a.Device).Workers, a.Floats, b.Floats, c.Floats, a.Shape.Rows, a.Shape.Columns, b.Shape.Columns);
    }

    private static double[] Turned(TensorView w) => MatmulReference.Transpose(Sample.Widen(w.ToFloats()), w.Shape.Columns);

    private TensorView Weights(OpFixture fixture, Sample sample, Shape shape, DType type)
    {
        float[] values = sample.Floats((int)shape.ElementCount);
        byte[] bytes = type == DType.F32
            ? MemoryMarshal.AsBytes<float>(values).ToArray()
            : MemoryMarshal.AsBytes<ushort>(Array.ConvertAll(values, v => type == DType.BF16 ? BFloat16.FromSingle(v) : BitConverter.HalfToUInt16Bits((Half)v))).ToArray();
        // Checkpoints are mapped as they are: weights may start at any multiple of two bytes on the CPU, of their element's on a card.
        bool vectors = shape.Columns % 8 == 0;
        return Place(fixture, shape, type, bytes, vectors ? 0 : fixture.Device is CpuDevice ? 2 : type.Size());
    }

    private TensorView Place(OpFixture fixture, Shape shape, DType type, ReadOnlySpan<byte> bytes, int offset)
    {
        var buffer = new DeviceBuffer(fixture.Device, new Shape(bytes.Length + offset), DType.U8);
        _buffers.Add(buffer);
        fixture.Device.CopyFromHost(bytes, buffer.View.Slice(offset, bytes.Length));
        return new TensorView(buffer.View.Pointer + offset, shape, type, fixture.Device);
    }
}
