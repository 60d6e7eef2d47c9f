using System.Runtime.InteropServices;
using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class MatmulInt8Bench
{
    public static void Run(Stopclock clock) => QuantizedProduct.Run(clock, "matmul_int8", Make);

    private static (Func<List<DeviceBuffer>, WeightMatrix> Place, Func<double[]> Dense) Make(Device device, int outputs, int inputs)
    {
        var values = new sbyte[outputs * inputs];
        var absmax = new float[outputs];
        Int8.Quantize(Stopclock.Floats(new Sample(2), values.Length), inputs, values, absmax);
        return (owned =>
        {
            var codes = new DeviceBuffer(device, new Shape(outputs, inputs), DType.I8);
            owned.AddRange([codes, DeviceBuffer.Of(device, new Shape(outputs), absmax)]);
            device.CopyFromHost(MemoryMarshal.AsBytes(values.AsSpan()), codes.View);
            return new Int8Matrix(codes.View, owned[^1].View);
        }, () => MatmulInt8Reference.Matrix(values, absmax));
    }
}
