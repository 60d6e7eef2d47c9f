using System.Numerics;
using System.Runtime.InteropServices;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

public sealed unsafe class MatmulTests : IDisposable
{
    private readonly List<nint> _memory = [];

    // Rows, outputs, inputs: one; a prime; one past a vector; one past a tile; one past a packed slice of the depth; several parts.
    private static readonly (int Rows, int Outputs, int Inputs)[] Sizes =
    [
        (1, 1, 1), (2, 3, 1), (3, 7, 5), (1, 17, 33), (8, 9, 131), (9, 33, 17), (13, 33, 257), (37, 129, 61), (97, 150, 531), (300, 260, 67),
    ];

    public static TheoryData<int, int, int, DType> Shapes
    {
        get
        {
            var data = new TheoryData<int, int, int, DType>();
            foreach ((int rows, int outputs, int inputs) in Sizes)
                foreach (DType type in new[] { DType.F32, DType.BF16, DType.F16 }) data.Add(rows, outputs, inputs, type);
            return data;
        }
    }

    public void Dispose()
    {
        foreach (nint pointer in _memory) NativeMemory.Free((void*)pointer);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_matches_the_reference(int rows, int outputs, int inputs, DType type)
    {
        using var fixture = new OpFixture();
        var sample = new Sample(1);
        float[] x = sample.Floats(rows * inputs), bias = sample.Floats(outputs);
        TensorView w = Weights(fixture, sample, new Shape(outputs, inputs), type), y = fixture.Empty(new Shape(rows, outputs));

        Matmul.Forward(fixture.Of(new Shape(rows, inputs), x), w, fixture.Of(new Shape(outputs), bias), y, null);

        double[] expected = Reference(x, w, bias, inputs);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(inputs));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void ForwardInOut_matches_the_reference(int rows, int outputs, int inputs, DType type)
    {
        using var fixture = new OpFixture();
        var sample = new Sample(2);
        float[] x = sample.Floats(rows * inputs);
        TensorView w = Weights(fixture, sample, new Shape(inputs, outputs), type), y = fixture.Empty(new Shape(rows, outputs));

        Matmul.ForwardInOut(fixture.Of(new Shape(rows, inputs), x), w, y, null);

        double[] turned = MatmulReference.Transpose(Sample.Widen(w.ToFloats()), outputs);
        double[] expected = MatmulReference.Forward<double, RealFunctions>(Sample.Widen(x), turned, [], inputs);
        Assert.InRange(Tolerance.RelativeError(y.ToFloats(), expected), 0, Tolerance.Float32(inputs));
    }

    [Theory]
    [InlineData(1, 1, 1, DType.F32)]
    [InlineData(3, 7, 5, DType.BF16)]
    [InlineData(2, 17, 33, DType.F16)]
    [InlineData(13, 33, 17, DType.F32)]
    [InlineData(5, 300, 37, DType.BF16)]
    public void Backward_matches_the_complex_step(int rows, int outputs, int inputs, DType type)
    {
        using var fixture = new OpFixture();
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
        Assert.InRange(Tolerance.RelativeError(dX, expected), 0, Tolerance.Float32(outputs));
    }

    [Theory]
    [InlineData(1, 1, 1, DType.F32)]
    [InlineData(2, 17, 33, DType.BF16)]
    [InlineData(13, 33, 17, DType.F16)]
    public void Backward_of_the_in_out_form_matches_the_complex_step(int rows, int outputs, int inputs, DType type)
    {
        using var fixture = new OpFixture();
        var sample = new Sample(4);
        float[] x = sample.Floats(rows * inputs), dY = sample.Floats(rows * outputs);
        TensorView input = fixture.Of(new Shape(rows, inputs), x), y = fixture.Empty(new Shape(rows, outputs));
        TensorView w = Weights(fixture, sample, new Shape(inputs, outputs), type);
        fixture.Want(input);

        Matmul.ForwardInOut(input, w, y, fixture.Tape);
        float[] dX = fixture.Backward(y, dY, input)[0];

        double[] turned = MatmulReference.Transpose(Sample.Widen(w.ToFloats()), outputs);
        double[] expected = ComplexStep.Gradient(
            Sample.Widen(x), Sample.Widen(dY), p => MatmulReference.Forward<Complex, ComplexFunctions>(p, turned, [], inputs));
        Assert.InRange(Tolerance.RelativeError(dX, expected), 0, Tolerance.Float32(outputs));
    }

    [Fact]
    public void Backward_adds_to_a_gradient_that_is_already_there()
    {
        using var fixture = new OpFixture();
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

        double[] first = Reference(dY1, Turned(w1), 23), second = Reference(dY2, Turned(w2), 29);
        double[] expected = [.. first.Zip(second, (a, b) => a + b)];
        Assert.InRange(Tolerance.RelativeError(dX, expected), 0, Tolerance.Float32(52));
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

    [Theory]
    [InlineData(1, 2)]
    [InlineData(3, 8)]
    [InlineData(9, 100)]
    public void A_row_does_not_depend_on_the_rows_beside_it_within_a_path(int few, int many)
    {
        using var fixture = new OpFixture();
        var sample = new Sample(7);
        TensorView x = fixture.Of(new Shape(many, 300), sample.Floats(many * 300)), w = fixture.Of(new Shape(77, 300), sample.Floats(77 * 300));
        TensorView all = fixture.Empty(new Shape(many, 77)), some = fixture.Empty(new Shape(few, 77));

        Matmul.Forward(x, w, default, all, null);
        Matmul.Forward(x.Slice(0, few), w, default, some, null);

        Assert.Equal(all.ToFloats()[..(few * 77)], some.ToFloats());
    }

    [Theory]
    [InlineData(5, 3, 7)]
    [InlineData(129, 16, 131)]
    [InlineData(300, 131, 16)]
    public void Products_with_a_transposed_left_matrix_are_added(int m, int r, int k)
    {
        using var fixture = new OpFixture();
        var sample = new Sample(8);
        float[] a = sample.Floats(m * r), b = sample.Floats(m * k), c = sample.Floats(r * k);
        TensorView result = fixture.Of(new Shape(r, k), c);

        Gemm.TN(((CpuDevice)fixture.Device).Workers, fixture.Of(new Shape(m, r), a).Floats, fixture.Of(new Shape(m, k), b).Floats, result.Floats, m, r, k);

        double[] left = MatmulReference.Transpose(Sample.Widen(a), r), right = MatmulReference.Transpose(Sample.Widen(b), k);
        double[] product = MatmulReference.Forward<double, RealFunctions>(left, right, [], m);
        double[] expected = [.. product.Zip(c, (p, start) => p + start)];
        Assert.InRange(Tolerance.RelativeError(result.ToFloats(), expected), 0, Tolerance.Float32(m));
    }

    [Fact]
    public void Every_half_widens_as_the_platform_widens_it()
    {
        using var fixture = new OpFixture();
        var bits = new ushort[1 << 16];
        for (int i = 0; i < bits.Length; i++) bits[i] = (ushort)i;
        Half[] finite = [.. Array.ConvertAll(bits, BitConverter.UInt16BitsToHalf).Where(Half.IsFinite)];
        TensorView w = Unaligned(fixture, new Shape(finite.Length / 16, 16), DType.F16);
        finite.CopyTo(new Span<Half>((void*)w.Pointer, finite.Length));
        var identity = new float[16 * 16];
        for (int i = 0; i < 16; i++) identity[i * 17] = 1;
        TensorView x = fixture.Of(new Shape(16, 16), identity), y = fixture.Empty(new Shape(16, finite.Length / 16));

        Matmul.Forward(x, w, default, y, null);

        double[] expected = MatmulReference.Transpose(Array.ConvertAll(finite, h => (double)h), 16);
        Assert.Equal(expected, Sample.Widen(y.ToFloats()));
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

    private static double[] Reference(float[] x, TensorView w, float[] bias, int inputs) =>
        MatmulReference.Forward<double, RealFunctions>(Sample.Widen(x), Sample.Widen(w.ToFloats()), Sample.Widen(bias), inputs);

    private static double[] Reference(float[] x, double[] w, int inputs) =>
        MatmulReference.Forward<double, RealFunctions>(Sample.Widen(x), w, [], inputs);

    private static double[] Turned(TensorView w) => MatmulReference.Transpose(Sample.Widen(w.ToFloats()), w.Shape.Columns);

    private TensorView Weights(OpFixture fixture, Sample sample, Shape shape, DType type)
    {
        float[] values = sample.Floats((int)shape.ElementCount);
        TensorView w = Unaligned(fixture, shape, type);
        void* to = (void*)w.Pointer;
        for (int i = 0; i < values.Length; i++)
            switch (type)
            {
                case DType.F32: ((float*)to)[i] = values[i]; break;
                case DType.BF16: ((ushort*)to)[i] = BFloat16.FromSingle(values[i]); break;
                default: ((Half*)to)[i] = (Half)values[i]; break;
            }

        return w;
    }

    // Checkpoints are mapped as they are: weights may start at any multiple of two bytes, even those of four.
    private TensorView Unaligned(OpFixture fixture, Shape shape, DType type)
    {
        var pointer = (nint)NativeMemory.Alloc((nuint)(shape.ElementCount * type.Size() + 2));
        _memory.Add(pointer);
        return new TensorView(pointer + 2, shape, type, fixture.Device);
    }
}
