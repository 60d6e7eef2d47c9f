using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class AdamwUpdateBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        clock.Heading("adamw update, elements");
        foreach ((int rows, int columns) in clock.Choose<(int, int)>([(16, 640), (1024, 2048)], [(16, 640), (4096, 8192)], [(3, 40)]))
        {
            string name = $"{rows} x {columns}";
            using DeviceBuffer p = DeviceBuffer.Of(device, new Shape(rows, columns), sample.Floats(rows * columns));
            using DeviceBuffer g = DeviceBuffer.Of(device, new Shape(rows, columns), sample.Floats(rows * columns));
            using DeviceBuffer m = DeviceBuffer.Zeros(device, new Shape(rows, columns));
            using DeviceBuffer v = DeviceBuffer.Zeros(device, new Shape(rows, columns));
            bool verified = Stopclock.Verifies((double)rows * columns);
            AdamwUpdateReference[] references = !verified ? [] : Array.ConvertAll(p.View.ToFloats(), value => new AdamwUpdateReference(value, 0.01f, 0.9f, 0.999f, 1e-8f, 0.1f));
            float[] gradient = g.View.ToFloats();
            for (int i = 0; i < references.Length; i++) references[i].Step(gradient[i]);
            void Step(int _) => AdamwUpdate.Apply(p.View, g.View, m.View, v.View, 0.01f, 0.9f, 0.999f, 1e-8f, 0.1f, 1, 1);
            Step(0);
            if (verified) Stopclock.Verify(name, Tolerance.RelativeError(p.View.ToFloats(), Array.ConvertAll(references, r => r.Parameter)), Tolerance.Float32(1));
            clock.Time(name, 28.0 * rows * columns, 14.0 * rows * columns, Step);
        }
    }
}
