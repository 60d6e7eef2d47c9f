using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

/// <summary>Both forms of the magnitudes: f32, and double quantised, which is what <c>--quantize nf4</c> makes.</summary>
public static class MatmulNf4Bench
{
    public static void Run(Stopclock clock)
    {
        QuantizedProduct.Run(clock, "matmul_nf4", (device, outputs, inputs) => Make(device, outputs, inputs, nested: false));
        QuantizedProduct.Run(clock, "matmul_nf4, double quantised,", (device, outputs, inputs) => Make(device, outputs, inputs, nested: true));
    }

    private static (Func<List<DeviceBuffer>, WeightMatrix> Place, Func<double[]> Dense) Make(Device device, int outputs, int inputs, bool nested)
    {
        float[] values = Stopclock.Floats(new Sample(2), outputs * inputs), absmax = new float[Nf4.BlockCount(values.Length)];
        float[] scales = new float[(absmax.Length + Nf4.NestedBlockSize - 1) / Nf4.NestedBlockSize];
        byte[] packed = new byte[values.Length / 2], absmaxCodes = new byte[absmax.Length];
        Nf4.Quantize(values, packed, absmax);
        float offset = Nf4.QuantizeAbsmax(absmax, absmaxCodes, scales);
        if (nested) absmax = MatmulNf4Reference.Absmax(absmaxCodes, scales, Nf4.NestedValues, offset);
        return (owned =>
        {
            TensorView codes = Place(device, owned, packed);
            if (!nested) return new Nf4Matrix(new Shape(outputs, inputs), codes, new Nf4Absmax(Place(device, owned, absmax)));
            TensorView magnitudes = Place(device, owned, absmaxCodes), table = Place(device, owned, [.. Nf4.NestedValues]);
            return new Nf4Matrix(new Shape(outputs, inputs), codes, new Nf4Absmax(magnitudes, Place(device, owned, scales), table, offset));
        }, () => MatmulNf4Reference.Matrix(packed, absmax, values.Length));
    }

    private static TensorView Place(Device device, List<DeviceBuffer> owned, float[] values)
    {
        owned.Add(DeviceBuffer.Of(device, new Shape(values.Length), values));
        return owned[^1].View;
    }

    private static TensorView Place(Device device, List<DeviceBuffer> owned, byte[] values)
    {
        owned.Add(new DeviceBuffer(device, new Shape(values.Length), DType.U8));
        device.CopyFromHost(values, owned[^1].View);
        return owned[^1].View;
    }
}
