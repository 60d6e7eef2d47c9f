using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class AveragePoolBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        clock.Heading("average pool forward, [side², D] by 4 × 4");
        foreach ((int rows, int columns) in clock.Choose<(int, int)>([(16, 128), (64, 1152)], [(16, 128), (64, 1152)], [(8, 40)]))
        {
            string name = $"side {rows}, D {columns}";
            using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(1, rows * rows, columns), sample.Floats(rows * rows * columns));
            using DeviceBuffer y = DeviceBuffer.Zeros(device, new Shape(1, rows / 4 * (rows / 4), columns));
            void Forward(int _) => AveragePool.Forward(x.View, rows, 4, y.View, null);
            Forward(0);
            if (Stopclock.Verifies((double)rows * rows * columns))
            {
                double[] expected = AveragePoolReference.Forward<double, RealFunctions>(Sample.Widen(x.View.ToFloats()), rows, 4, columns);
                Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(16));
            }

            clock.Time(name, 4.25 * rows * rows * columns, 2.0 * rows * rows * columns, Forward);
        }
    }
}
