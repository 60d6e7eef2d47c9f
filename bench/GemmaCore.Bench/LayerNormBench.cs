using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class LayerNormBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        clock.Heading("layer norm forward, [T, D]");
        foreach ((int rows, int columns) in clock.Choose<(int, int)>([(256, 128), (4096, 1152)], [(256, 1152), (4096, 1152), (16384, 1152)], [(3, 40)]))
        {
            string name = $"T {rows}, D {columns}";
            using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(rows, columns), sample.Floats(rows * columns));
            using DeviceBuffer w = DeviceBuffer.Of(device, new Shape(columns), sample.Floats(columns));
            using DeviceBuffer b = DeviceBuffer.Of(device, new Shape(columns), sample.Floats(columns));
            using DeviceBuffer y = DeviceBuffer.Zeros(device, new Shape(rows, columns));
            void Forward(int _) => LayerNorm.Forward(x.View, w.View, b.View, 1e-6f, y.View, null);
            Forward(0);
            if (Stopclock.Verifies((double)rows * columns))
            {
                double[] expected = LayerNormReference.Forward<double, RealFunctions>(Sample.Widen(x.View.ToFloats()), Sample.Widen(w.View.ToFloats()), Sample.Widen(b.View.ToFloats()), 1e-6f);
                Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(columns));
            }

            clock.Time(name, 8.0 * rows * columns, 8.0 * rows * columns, Forward);
        }
    }
}
