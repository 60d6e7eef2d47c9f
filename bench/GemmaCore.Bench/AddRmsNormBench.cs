using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class AddRmsNormBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        clock.Heading("residual sum and rms norm forward, [T, D]");
        foreach ((int rows, int columns) in clock.Choose<(int, int)>([(1, 1152), (350, 128), (512, 2560)], [(1, 2560), (512, 2560), (8192, 2560)], [(3, 40)]))
        {
            string name = $"T {rows}, D {columns}";
            var shape = new Shape(rows, columns);
            float[] a = sample.Floats(rows * columns), b = sample.Floats(rows * columns), gain = sample.Floats(columns);
            using DeviceBuffer x = DeviceBuffer.Of(device, shape, a), r = DeviceBuffer.Of(device, shape, b), w = DeviceBuffer.Of(device, new Shape(columns), gain);
            using DeviceBuffer sum = DeviceBuffer.Zeros(device, shape), y = DeviceBuffer.Zeros(device, shape);
            void Forward(int _) => AddRmsNorm.Forward(x.View, r.View, w.View, 1e-6f, 1, sum.View, y.View, null);
            Forward(0);
            if (Stopclock.Verifies((double)rows * columns))
            {
                double[] expected = AddRmsNormReference.Forward<double, RealFunctions>(Sample.Widen(a), Sample.Widen(b), Sample.Widen(gain), 1e-6f, 1).Y;
                Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(columns));
            }

            clock.Time(name, 16.0 * rows * columns, 6.0 * rows * columns, Forward);
        }
    }
}
