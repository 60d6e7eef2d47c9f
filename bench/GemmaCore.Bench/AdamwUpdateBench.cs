using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class AdamwUpdateBench
{
    public static void Run(Stopclock clock)
    {
        foreach (bool eightBit in (bool[])[false, true])
        {
            clock.Heading(eightBit ? "adamw update with moments in 8 bits, elements" : "adamw update, elements");
            foreach ((int rows, int columns) in clock.Choose<(int, int)>([(16, 640), (1024, 2048)], [(16, 640), (4096, 8192)], [(3, 40)])) Case(clock, rows, columns, eightBit);
        }
    }

    private static void Case(Stopclock clock, int rows, int columns, bool eightBit)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        var shape = new Shape(rows, columns);
        string name = $"{rows} x {columns}";
        using DeviceBuffer p = DeviceBuffer.Of(device, shape, sample.Floats(rows * columns)), g = DeviceBuffer.Of(device, shape, sample.Floats(rows * columns));
        using var m = new Moment(device, shape, eightBit, DynamicMap.Signed.AsSpan());
        using var v = new Moment(device, shape, eightBit, DynamicMap.Unsigned.AsSpan());
        bool verified = Stopclock.Verifies((double)rows * columns);
        AdamwUpdateReference[] references = !verified ? [] : Array.ConvertAll(p.View.ToFloats(), value => new AdamwUpdateReference(value, 0.01f, 0.9f, 0.999f, 1e-8f, 0.1f));
        float[] gradient = g.View.ToFloats();
        for (int i = 0; i < references.Length; i++) references[i].Step(gradient[i]);
        void Step(int _)
        {
            if (eightBit) AdamwUpdate.Apply(p.View, g.View, m.Quantized, v.Quantized, 0.01f, 0.9f, 0.999f, 1e-8f, 0.1f, 1, 1);
            else AdamwUpdate.Apply(p.View, g.View, m.Values, v.Values, 0.01f, 0.9f, 0.999f, 1e-8f, 0.1f, 1, 1);
        }

        // The first step begins at zero, which both forms hold exactly, so its parameters are the same.
        Step(0);
        if (verified) Stopclock.Verify(name, Tolerance.RelativeError(p.View.ToFloats(), Array.ConvertAll(references, r => r.Parameter)), Tolerance.Float32(1));
        clock.Time(name, (eightBit ? 16.0 : 28.0) * rows * columns, 14.0 * rows * columns, Step);
    }

    private sealed class Moment : IDisposable
    {
        private readonly DeviceBuffer _values, _absmax, _map;

        public Moment(Device device, Shape shape, bool eightBit, ReadOnlySpan<float> map)
        {
            _values = new DeviceBuffer(device, shape, eightBit ? DType.U8 : DType.F32);
            device.Clear(_values.View);
            _absmax = DeviceBuffer.Zeros(device, new Shape(QuantizedMoment.BlockCount(shape.ElementCount)));
            _map = DeviceBuffer.Of(device, new Shape(map.Length), map);
        }

        public TensorView Values => _values.View;

        public QuantizedMoment Quantized => new(_values.View, _absmax.View, _map.View);

        public void Dispose()
        {
            _values.Dispose();
            _absmax.Dispose();
            _map.Dispose();
        }
    }
}
