using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class ScatterRowsBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        clock.Heading("scatter rows forward, [P, D] into 1024 rows");
        foreach ((int rows, int columns) in clock.Choose<(int, int)>([(256, 128), (256, 2560)], [(256, 128), (256, 2560)], [(3, 40)]))
        {
            string name = $"T {rows}, D {columns}";
            int[] list = [.. Enumerable.Range(700, rows).Reverse()];
            using DeviceBuffer rowList = clock.Ints(list);
            using DeviceBuffer source = DeviceBuffer.Of(device, new Shape(rows, columns), sample.Floats(rows * columns));
            using DeviceBuffer y = DeviceBuffer.Zeros(device, new Shape(1024, columns));
            void Forward(int _) => ScatterRows.Forward(source.View, rowList.View, y.View, null);
            Forward(0);
            if (Stopclock.Verifies((double)rows * columns))
            {
                double[] expected = ScatterRowsReference.Forward(Sample.Widen(source.View.ToFloats()), list, new double[1024 * columns], columns);
                Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(1));
            }

            clock.Time(name, 8.0 * rows * columns, 0.0 * rows * columns, Forward);
        }
    }
}
