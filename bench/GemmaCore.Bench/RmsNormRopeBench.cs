using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class RmsNormRopeBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        clock.Heading("rms norm and rope forward, 8 heads of T × H");
        foreach ((int rows, int columns) in clock.Choose<(int, int)>([(1, 256), (512, 256), (350, 32)], [(1, 256), (512, 256), (8192, 256)], [(3, 32)]))
        {
            string name = $"T {rows}, H {columns}";
            int[] positions = [.. Enumerable.Range(0, rows)];
            float[] series = Rope.InverseFrequencies(10_000, columns, 1), values = sample.Floats(rows * 8 * columns), gain = sample.Floats(columns);
            using DeviceBuffer frequencies = DeviceBuffer.Of(device, new Shape(columns / 2), series), rowList = clock.Ints(positions);
            using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(rows, 8, columns), values), y = DeviceBuffer.Zeros(device, new Shape(rows, 8, columns));
            using DeviceBuffer w = DeviceBuffer.Of(device, new Shape(columns), gain);
            using DeviceBuffer cos = DeviceBuffer.Zeros(device, new Shape(rows, columns / 2)), sin = DeviceBuffer.Zeros(device, new Shape(rows, columns / 2));
            Rope.FillTable(rowList.View, frequencies.View, cos.View, sin.View);
            void Forward(int _) => RmsNormRope.Forward(x.View, w.View, 1e-6f, 1, cos.View, sin.View, y.View, null);
            Forward(0);
            if (Stopclock.Verifies((double)rows * columns))
            {
                double[] expected = RmsNormRopeReference.Forward<double, RealFunctions>(
                    Sample.Widen(values), Sample.Widen(gain), 1e-6f, 1, RopeReference.Angles(positions, series), 8);
                Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(columns));
            }

            clock.Time(name, 68.0 * rows * columns, 64.0 * rows * columns, Forward);
        }
    }
}
