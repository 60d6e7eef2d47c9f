using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class MatmulNf4Bench
{
    // Decoding and prefill of the 1b and 4b shapes.
    private static readonly (int Rows, int Outputs, int Inputs)[] Cases =
        [(1, 6912, 1152), (1, 1152, 6912), (1, 10240, 2560), (1, 2560, 10240), (4, 6912, 1152), (8, 6912, 1152), (128, 6912, 1152), (512, 6912, 1152)];

    public static void Run(Stopclock clock)
    {
        Stopclock.Heading("matmul_nf4 forward, y[T, O] = x[T, K]·wᵀ");
        foreach ((int rows, int outputs, int inputs) in Cases) Time(clock, rows, outputs, inputs);
    }

    private static void Time(Stopclock clock, int rows, int outputs, int inputs)
    {
        CpuDevice device = clock.Device;
        string name = $"T {rows}, O {outputs}, K {inputs}";
        using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(rows, inputs), new Sample(1).Floats(rows * inputs));
        using DeviceBuffer y = DeviceBuffer.Zeros(device, new Shape(rows, outputs));
        using var w = new Quantised(device, outputs, inputs);
        // Decoding meets every weight cold: enough copies to outgrow the caches.
        int copies = rows <= 8 ? (int)Math.Clamp((256L << 20) / w.Matrix.ByteCount, 2, 256) : 1;
        Quantised[] weights = [.. Enumerable.Range(0, copies).Select(_ => new Quantised(device, outputs, inputs))];
        Nf4Matrix[] matrices = Array.ConvertAll(weights, weight => weight.Matrix);
        void Forward(int i) => MatmulNf4.Forward(x.View, matrices[i % copies], default, y.View, null);

        Forward(0);
        double[] expected = MatmulReference.Forward<double, RealFunctions>(Sample.Widen(x.View.ToFloats()), w.Dense, [], inputs);
        Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(inputs));
        clock.Time(name, w.Matrix.ByteCount + 4.0 * rows * (inputs + outputs), 2.0 * rows * outputs * inputs, Forward);
        foreach (Quantised weight in weights) weight.Dispose();
    }

    private sealed class Quantised : IDisposable
    {
        private readonly DeviceBuffer _codes, _absmax;

        public Quantised(CpuDevice device, int outputs, int inputs)
        {
            float[] values = new Sample(2).Floats(outputs * inputs), absmax = new float[Nf4.BlockCount(values.Length)];
            _codes = new DeviceBuffer(device, new Shape(values.Length / 2), DType.U8);
            Nf4.Quantize(values, _codes.View.AsSpan<byte>(), absmax);
            _absmax = DeviceBuffer.Of(device, new Shape(absmax.Length), absmax);
            Matrix = new Nf4Matrix(new Shape(outputs, inputs), _codes.View, new Nf4Absmax(_absmax.View));
        }

        public Nf4Matrix Matrix { get; }

        public double[] Dense => MatmulNf4Reference.Matrix(_codes.View.AsSpan<byte>().ToArray(), _absmax.View.ToFloats(), (int)Matrix.Shape.ElementCount);

        public void Dispose()
        {
            _codes.Dispose();
            _absmax.Dispose();
        }
    }
}
