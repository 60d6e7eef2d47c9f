using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class GluBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        clock.Heading("glu forward (GeluTanh), [T, F]");
        foreach ((int rows, int columns) in clock.Choose<(int, int)>([(1, 6912), (350, 384), (256, 10240)], [(1, 10240), (256, 10240), (4096, 10240)], [(3, 40)]))
        {
            string name = $"T {rows}, D {columns}";
            using DeviceBuffer gate = DeviceBuffer.Of(device, new Shape(rows, columns), sample.Floats(rows * columns, -6, 6));
            using DeviceBuffer up = DeviceBuffer.Of(device, new Shape(rows, columns), sample.Floats(rows * columns));
            using DeviceBuffer y = DeviceBuffer.Zeros(device, new Shape(rows, columns));
            void Forward(int _) => Glu.Forward(gate.View, up.View, Activation.GeluTanh, y.View, null);
            Forward(0);
            if (Stopclock.Verifies((double)rows * columns))
            {
                double[] expected = GluReference.Forward<double, RealFunctions>(Sample.Widen(gate.View.ToFloats()), Sample.Widen(up.View.ToFloats()), Activation.GeluTanh);
                Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(1));
            }

            clock.Time(name, 12.0 * rows * columns, 21.0 * rows * columns, Forward);
        }
    }
}
