using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class RopeBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        clock.Heading("rope forward, 8 heads of T × H");
        foreach ((int rows, int columns) in clock.Choose<(int, int)>([(1, 256), (512, 256), (350, 32)], [(1, 256), (512, 256), (8192, 256)], [(3, 32)]))
        {
            string name = $"T {rows}, H {columns}";
            int[] positions = [.. Enumerable.Range(0, rows)];
            float[] series = Rope.InverseFrequencies(10_000, columns, 1);
            using DeviceBuffer frequencies = DeviceBuffer.Of(device, new Shape(columns / 2), series);
            using DeviceBuffer rowList = clock.Ints(positions);
            using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(rows, 8, columns), sample.Floats(rows * 8 * columns));
            using DeviceBuffer cos = DeviceBuffer.Zeros(device, new Shape(rows, columns / 2));
            using DeviceBuffer sin = DeviceBuffer.Zeros(device, new Shape(rows, columns / 2));
            Rope.FillTable(rowList.View, frequencies.View, cos.View, sin.View);
            bool verified = Stopclock.Verifies(8.0 * rows * columns);
            double[] expected = verified ? RopeReference.Forward<double, RealFunctions>(Sample.Widen(x.View.ToFloats()), RopeReference.Angles(positions, series), 8, columns) : [];
            void Forward(int _) => Rope.Forward(x.View, cos.View, sin.View, null);
            Forward(0);
            if (verified) Stopclock.Verify(name, Tolerance.RelativeError(x.View.ToFloats(), expected), Tolerance.Float32(2));
            clock.Time(name, 64.0 * rows * columns, 24.0 * rows * columns, Forward);
        }
    }
}
