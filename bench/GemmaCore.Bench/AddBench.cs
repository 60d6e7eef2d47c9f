using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class AddBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        clock.Heading("add forward, [T, D]");
        foreach ((int rows, int columns) in clock.Choose<(int, int)>([(1, 1152), (350, 128), (512, 2560)], [(1, 2560), (512, 2560), (8192, 2560)], [(3, 40)]))
        {
            string name = $"T {rows}, D {columns}";
            using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(rows, columns), sample.Floats(rows * columns));
            using DeviceBuffer n = DeviceBuffer.Of(device, new Shape(rows, columns), sample.Floats(rows * columns));
            using DeviceBuffer y = DeviceBuffer.Zeros(device, new Shape(rows, columns));
            void Forward(int _) => Add.Forward(x.View, n.View, y.View, null);
            Forward(0);
            if (Stopclock.Verifies((double)rows * columns))
            {
                double[] expected = AddReference.Forward(Sample.Widen(x.View.ToFloats()), Sample.Widen(n.View.ToFloats()));
                Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(1));
            }

            clock.Time(name, 12.0 * rows * columns, 1.0 * rows * columns, Forward);
        }
    }
}
