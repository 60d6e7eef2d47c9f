using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class ActivateBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        clock.Heading("activate forward (GeluTanh), [T, D]");
        foreach ((int rows, int columns) in clock.Choose<(int, int)>([(256, 384), (1024, 4304)], [(256, 384), (4096, 4304)], [(3, 40)]))
        {
            string name = $"T {rows}, D {columns}";
            using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(rows, columns), sample.Floats(rows * columns, -6, 6));
            using DeviceBuffer y = DeviceBuffer.Zeros(device, new Shape(rows, columns));
            void Forward(int _) => Activate.Forward(x.View, Activation.GeluTanh, y.View, null);
            Forward(0);
            if (Stopclock.Verifies((double)rows * columns))
            {
                double[] expected = ActivateReference.Forward<double, RealFunctions>(Sample.Widen(x.View.ToFloats()), Activation.GeluTanh);
                Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(1));
            }

            clock.Time(name, 8.0 * rows * columns, 20.0 * rows * columns, Forward);
        }
    }
}
