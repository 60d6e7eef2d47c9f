using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class ScaleColumnsBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        clock.Heading("scale columns, [T, O]");
        foreach ((int rows, int columns) in clock.Choose<(int, int)>([(1, 1152), (350, 128), (512, 2560)], [(1, 2560), (512, 2560), (8192, 2560)], [(3, 40)]))
        {
            string name = $"T {rows}, D {columns}";
            using DeviceBuffer y = DeviceBuffer.Of(device, new Shape(rows, columns), sample.Floats(rows * columns));
            using DeviceBuffer scale = DeviceBuffer.Of(device, new Shape(columns), sample.Floats(columns, 1, 1));
            using DeviceBuffer bias = DeviceBuffer.Of(device, new Shape(columns), sample.Floats(columns, 0, 0));
            // A scale of one and a bias of zero, so that y stays finite however often it is scaled.
            void Forward(int _) => ScaleColumns.Forward(y.View, scale.View, bias.View);
            Forward(0);
            if (Stopclock.Verifies((double)rows * columns))
            {
                double[] expected = ScaleColumnsReference.Forward(Sample.Widen(y.View.ToFloats()), Sample.Widen(scale.View.ToFloats()), Sample.Widen(bias.View.ToFloats()));
                Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(1));
            }

            clock.Time(name, 8.0 * rows * columns, 2.0 * rows * columns, Forward);
        }
    }
}
