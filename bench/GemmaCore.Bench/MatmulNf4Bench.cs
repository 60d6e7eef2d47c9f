using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class MatmulNf4Bench
{
    public static void Run(Stopclock clock) => QuantizedProduct.Run(clock, "matmul_nf4", Make);

    private static (Func<List<DeviceBuffer>, WeightMatrix> Place, Func<double[]> Dense) Make(Device device, int outputs, int inputs)
    {
        float[] values = Stopclock.Floats(new Sample(2), outputs * inputs), absmax = new float[Nf4.BlockCount(values.Length)];
        byte[] packed = new byte[values.Length / 2];
        Nf4.Quantize(values, packed, absmax);
        return (owned =>
        {
            var codes = new DeviceBuffer(device, new Shape(packed.Length), DType.U8);
            owned.AddRange([codes, DeviceBuffer.Of(device, new Shape(absmax.Length), absmax)]);
            device.CopyFromHost(packed, codes.View);
            return new Nf4Matrix(new Shape(outputs, inputs), codes.View, new Nf4Absmax(owned[^1].View));
        }, () => MatmulNf4Reference.Matrix(packed, absmax, values.Length));
    }
}
