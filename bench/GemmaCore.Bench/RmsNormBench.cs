using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class RmsNormBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        clock.Heading("rms norm forward, [T, D]");
        foreach ((int rows, int columns) in clock.Choose<(int, int)>([(1, 1152), (350, 128), (512, 2560)], [(1, 2560), (512, 2560), (8192, 2560)], [(3, 40)]))
        {
            string name = $"T {rows}, D {columns}";
            using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(rows, columns), sample.Floats(rows * columns));
            using DeviceBuffer w = DeviceBuffer.Of(device, new Shape(columns), sample.Floats(columns));
            using DeviceBuffer y = DeviceBuffer.Zeros(device, new Shape(rows, columns));
            void Forward(int _) => RmsNorm.Forward(x.View, w.View, 1e-6f, 1, y.View, null);
            Forward(0);
            if (Stopclock.Verifies((double)rows * columns))
            {
                double[] expected = RmsNormReference.Forward<double, RealFunctions>(Sample.Widen(x.View.ToFloats()), Sample.Widen(w.View.ToFloats()), 1e-6f, 1);
                Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(columns));
            }

            clock.Time(name, 8.0 * rows * columns, 5.0 * rows * columns, Forward);
        }
    }
}
