using System.Runtime.InteropServices;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Ops.Tests;

/// <summary>A random matrix in every quantised form, on a device.</summary>
internal sealed class QuantizedSample : IDisposable
{
    private readonly Device _device;
    private readonly List<DeviceBuffer> _buffers = [];

    public QuantizedSample(Device device, Shape shape, ulong seed)
    {
        _device = device;
        int count = (int)shape.ElementCount, blocks = (int)Ops.Nf4.BlockCount(count);
        float[] values = new Sample(seed).Floats(count), absmax = new float[blocks], scales = new float[(blocks + 255) / 256], rowAbsmax = new float[shape[0]];
        byte[] codes = new byte[(count + 1) / 2], absmaxCodes = new byte[blocks];
        var rows = new sbyte[count];
        Ops.Nf4.Quantize(values, codes, absmax);
        float offset = Ops.Nf4.QuantizeAbsmax(absmax, absmaxCodes, scales);
        Ops.Int8.Quantize(values, shape[1], rows, rowAbsmax);
        Nf4 = new Nf4Matrix(shape, Bytes(codes), new Nf4Absmax(Floats(absmax)));
        Nf4Nested = new Nf4Matrix(shape, Bytes(codes), new Nf4Absmax(Bytes(absmaxCodes), Floats(scales), Floats([.. Ops.Nf4.NestedValues]), offset));
        DenseNf4 = MatmulNf4Reference.Matrix(codes, absmax, count);
        DenseNf4Nested = MatmulNf4Reference.Matrix(codes, MatmulNf4Reference.Absmax(absmaxCodes, scales, Ops.Nf4.NestedValues, offset), count);
        DenseInt8 = MatmulInt8Reference.Matrix(rows, rowAbsmax);
        var groupRows = new sbyte[count];
        var groupScales = new Half[shape[0] * Int8Group.Count(shape[1])];
        Int8Group.Quantize(values, shape[1], groupRows, groupScales);
        Int8Groups = new Int8GroupMatrix(
            Bytes(MemoryMarshal.AsBytes<sbyte>(groupRows).ToArray(), shape, DType.I8),
            Bytes(MemoryMarshal.AsBytes<Half>(groupScales).ToArray(), new Shape(shape[0], Int8Group.Count(shape[1])), DType.F16));
        DenseInt8Groups = MatmulInt8GroupReference.Matrix(groupRows, groupScales, shape[1]);
        Int8 = new Int8Matrix(Bytes(MemoryMarshal.AsBytes<sbyte>(rows).ToArray(), shape, DType.I8), Floats(rowAbsmax));
        // As models do it when they are loaded.
        foreach (QuantizedMatrix matrix in (QuantizedMatrix[])[Nf4, Nf4Nested, Int8, Int8Groups]) matrix.Arrange();
    }

    public Nf4Matrix Nf4 { get; }

    public Nf4Matrix Nf4Nested { get; }

    public Int8Matrix Int8 { get; }

    public Int8GroupMatrix Int8Groups { get; }

    /// <summary>What they stand for, by the references.</summary>
    public double[] DenseNf4 { get; }

    public double[] DenseNf4Nested { get; }

    public double[] DenseInt8 { get; }

    public double[] DenseInt8Groups { get; }

    /// <summary>
    /// y must be x·wᵀ + bias of the dequantised matrix, within what the device's arithmetic rounds; <paramref name="rounding"/> is what each element of y may be off by
    /// because operands were rounded, where a path does that by design.
    /// </summary>
    public static void AssertProduct(Device device, float[] y, float[] x, double[] w, float[] bias, int inputs, double[]? rounding = null)
    {
        double[] wideX = Sample.Widen(x);
        double[] expected = MatmulReference.Forward<double, RealFunctions>(wideX, w, Sample.Widen(bias), inputs);
        double[] scales = MatmulReference.Forward<double, RealFunctions>(
            Array.ConvertAll(wideX, Math.Abs), Array.ConvertAll(w, Math.Abs), Sample.Widen(Array.ConvertAll(bias, Math.Abs)), inputs);
        // On a card the weights are rounded to its type once more before the product rounds its operands.
        double tolerance = 2 * Tolerance.MatrixUnit(device) + Tolerance.Float32(inputs);
        for (int i = 0; i < rounding?.Length; i++) scales[i] += rounding[i] / tolerance;
        Assert.InRange(Tolerance.ScaledError(y, expected, scales), 0, tolerance);
    }

    public void Dispose()
    {
        foreach (DeviceBuffer buffer in _buffers) buffer.Dispose();
    }

    private TensorView Floats(float[] values)
    {
        DeviceBuffer buffer = DeviceBuffer.Of(_device, new Shape(values.Length), values);
        _buffers.Add(buffer);
        return buffer.View;
    }

    private TensorView Bytes(byte[] values) => Bytes(values, new Shape(values.Length), DType.U8);

    private TensorView Bytes(byte[] values, Shape shape, DType type)
    {
        var buffer = new DeviceBuffer(_device, shape, type);
        _buffers.Add(buffer);
        _device.CopyFromHost(values, buffer.View);
        return buffer.View;
    }
}
