using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class GatherRowsBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        clock.Heading("gather rows forward, [R, D] of 1024 rows");
        foreach ((int rows, int columns) in clock.Choose<(int, int)>([(1, 1152), (350, 128), (512, 2560)], [(1, 2560), (512, 2560), (8192, 2560)], [(3, 40)]))
        {
            string name = $"T {rows}, D {columns}";
            int[] list = [.. Enumerable.Range(0, rows).Select(_ => sample.Below(1024))];
            using DeviceBuffer rowList = clock.Ints(list);
            using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(1024, columns), sample.Floats(1024 * columns));
            using DeviceBuffer y = DeviceBuffer.Zeros(device, new Shape(rows, columns));
            void Forward(int _) => GatherRows.Forward(x.View, rowList.View, y.View, null);
            Forward(0);
            if (Stopclock.Verifies((double)rows * columns))
            {
                double[] expected = GatherRowsReference.Forward(Sample.Widen(x.View.ToFloats()), list, columns);
                Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(1));
            }

            clock.Time(name, 8.0 * rows * columns, 0.0 * rows * columns, Forward);
        }
    }
}
