using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class PatchEmbedBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        clock.Heading("patch embed forward, one picture of side² patches of 14 × 14 × 3");
        foreach ((int rows, int columns) in clock.Choose<(int, int)>([(16, 128), (32, 1152)], [(16, 128), (64, 1152)], [(2, 40)]))
        {
            string name = $"side {rows}, D {columns}";
            using var arena = new Arena(device);
            using DeviceBuffer pixels = DeviceBuffer.Of(device, new Shape(1, 3, rows * 14, rows * 14), sample.Floats(3 * rows * 14 * rows * 14));
            using DeviceBuffer w = DeviceBuffer.Of(device, new Shape(columns, 588), sample.Floats(columns * 588));
            using DeviceBuffer bias = DeviceBuffer.Of(device, new Shape(columns), sample.Floats(columns));
            using DeviceBuffer positions = DeviceBuffer.Of(device, new Shape(rows * rows, columns), sample.Floats(rows * rows * columns));
            using DeviceBuffer y = DeviceBuffer.Zeros(device, new Shape(1, rows * rows, columns));
            void Forward(int _) => PatchEmbed.Forward(pixels.View, w.View, bias.View, positions.View, default, 14, y.View, arena);
            Forward(0);
            if (Stopclock.Verifies(588.0 * rows * rows * columns))
            {
                double[] expected = PatchEmbedReference.Forward(Sample.Widen(pixels.View.ToFloats()), Sample.Widen(w.View.ToFloats()), Sample.Widen(bias.View.ToFloats()), Sample.Widen(positions.View.ToFloats()), [], 3, rows * 14, 14);
                Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(588) + clock.Rounding);
            }

            clock.Time(name, 4.0 * ((rows * rows * (588.0 + (2.0 * columns))) + (588.0 * columns)), 1176.0 * rows * rows * columns, Forward);
        }
    }
}
