using System.Runtime.InteropServices;
using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class MatmulInt8GroupBench
{
    public static void Run(Stopclock clock) => QuantizedProduct.Run(clock, "matmul_int8_group", Make);

    private static (Func<List<DeviceBuffer>, WeightMatrix> Place, Func<double[]> Dense) Make(Device device, int outputs, int inputs)
    {
        var values = new sbyte[outputs * inputs];
        var scales = new Half[outputs * Int8Group.Count(inputs)];
        Int8Group.Quantize(Stopclock.Floats(new Sample(2), values.Length), inputs, values, scales);
        return (owned =>
        {
            var codes = new DeviceBuffer(device, new Shape(outputs, inputs), DType.I8);
            var groups = new DeviceBuffer(device, new Shape(outputs, Int8Group.Count(inputs)), DType.F16);
            owned.AddRange([codes, groups]);
            device.CopyFromHost(MemoryMarshal.AsBytes(values.AsSpan()), codes.View);
            device.CopyFromHost(MemoryMarshal.AsBytes(scales.AsSpan()), groups.View);
            return new Int8GroupMatrix(codes.View, groups.View);
        }, () => MatmulInt8GroupReference.Matrix(values, scales, inputs));
    }
}
