using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class SumOfSquaresBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        clock.Heading("sum of squares, elements");
        foreach ((int rows, int columns) in clock.Choose<(int, int)>([(16, 640), (1024, 2048)], [(16, 640), (8192, 8192)], [(3, 40)]))
        {
            string name = $"{rows} x {columns}";
            using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(rows, columns), sample.Floats(rows * columns));
            double expected = Stopclock.Verifies((double)rows * columns) ? SumOfSquaresReference.Forward(Sample.Widen(x.View.ToFloats())) : SumOfSquares.Of(x.View);
            Stopclock.Verify(name, Math.Abs(SumOfSquares.Of(x.View) - expected) / expected, Tolerance.Float32(16 << 10));
            clock.Time(name, 4.0 * rows * columns, 2.0 * rows * columns, _ => SumOfSquares.Of(x.View));
        }
    }
}
