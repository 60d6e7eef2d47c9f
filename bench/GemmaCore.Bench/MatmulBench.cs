using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class MatmulBench
{
    // Decoding and prefill of the 1b and mini shapes, training batches of the embedded model.
    private static readonly (int Rows, int Outputs, int Inputs, DType Type)[] Cases =
    [
        (1, 6912, 1152, DType.BF16), (1, 1152, 6912, DType.BF16), (1, 1024, 1152, DType.BF16), (2, 6912, 1152, DType.BF16), (4, 6912, 1152, DType.BF16), (8, 6912, 1152, DType.BF16),
        (1, 2048, 640, DType.BF16), (1, 2048, 640, DType.F32),
        (128, 2048, 640, DType.BF16), (128, 640, 2048, DType.BF16), (512, 2048, 640, DType.F32), (512, 640, 2048, DType.F32),
        (128, 6912, 1152, DType.BF16), (128, 1152, 6912, DType.BF16), (512, 6912, 1152, DType.BF16),
        (32, 2048, 640, DType.F32), (64, 2048, 640, DType.F32), (16, 6912, 1152, DType.BF16),
        (350, 128, 128, DType.F32), (350, 144, 128, DType.F32), (350, 384, 128, DType.F32), (350, 128, 384, DType.F32), (350, 288, 144, DType.F32),
        (40, 128, 128, DType.F32), (1, 128, 128, DType.F32),
    ];

    // Gemma 3 4B: q, k, o, gate and up, down, and the head for one token; SigLIP; a square that other libraries are measured with.
    private static readonly (int Rows, int Outputs, int Inputs, DType Type)[] CardCases =
    [
        (32, 256, 256, DType.BF16), (1, 2048, 2560, DType.BF16), (1, 1024, 2560, DType.BF16), (1, 10240, 2560, DType.BF16), (1, 2560, 10240, DType.BF16),
        (1, 262208, 2560, DType.BF16), (8, 10240, 2560, DType.BF16), (512, 10240, 2560, DType.BF16), (512, 2560, 10240, DType.BF16),
        (2048, 2048, 2560, DType.BF16), (2048, 10240, 2560, DType.BF16), (2048, 2560, 10240, DType.BF16), (4096, 1152, 1152, DType.BF16),
        (4096, 4304, 1152, DType.BF16), (8192, 8192, 8192, DType.BF16),
    ];

    private static readonly (int Rows, int Outputs, int Inputs, DType Type)[] TinyCases = [(1, 24, 40, DType.BF16), (32, 40, 24, DType.BF16), (32, 40, 24, DType.F32)];

    public static void Run(Stopclock clock)
    {
        clock.Heading("matmul forward, y[T, O] = x[T, K]·wᵀ");
        foreach ((int rows, int outputs, int inputs, DType type) in clock.Choose(Cases, CardCases, TinyCases)) Time(clock, rows, outputs, inputs, type, backward: false);
        clock.Heading("matmul backward, dX[T, O] = dY[T, K]·w[K, O]");
        foreach ((int rows, int outputs, int inputs, DType type) in clock.Choose(Cases, CardCases, TinyCases).Where(c => c.Rows >= 32)) Time(clock, rows, outputs, inputs, type, backward: true);
    }

    private static void Time(Stopclock clock, int rows, int outputs, int inputs, DType type, bool backward)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        string name = $"T {rows}, O {outputs}, K {inputs}, {type.ToString().ToLowerInvariant()}";
        long weightBytes = (long)outputs * inputs * type.Size();
        // Decoding meets every weight cold: enough copies to outgrow the caches.
        int copies = !clock.Tiny && rows <= 16 && weightBytes > 1 << 20 ? (int)Math.Clamp((256L << 20) / weightBytes, 2, 256) : 1;
        using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(rows, inputs), sample.Floats(rows * inputs));
        using DeviceBuffer y = DeviceBuffer.Zeros(device, new Shape(rows, outputs));
        float[] values = Stopclock.Floats(new Sample(2), outputs * inputs);
        Shape shape = backward ? new Shape(inputs, outputs) : new Shape(outputs, inputs);
        DeviceBuffer[] weights = [.. Enumerable.Range(0, copies).Select(_ => clock.Matrix(shape, values, type))];

        double flops = 2.0 * rows * outputs * inputs, bytes = weightBytes + 4.0 * rows * (inputs + outputs);
        void Forward(int i) => Matmul.Forward(x.View, weights[i % copies].View, default, y.View, null);
        void Backward(int i) => Matmul.ForwardInOut(x.View, weights[i % copies].View, y.View, null);

        // dX = dY·w as Matmul's backward pass computes it: x holds dY and y receives dX.
        Action<int> action = backward ? Backward : Forward;
        action(0);
        if (Stopclock.Verifies((double)rows * outputs * inputs) || device is CpuDevice)
        {
            double[] left = Sample.Widen(x.View.ToFloats()), matrix = Sample.Widen(weights[0].View.ToFloats());
            double[] expected = MatmulReference.Forward<double, RealFunctions>(left, backward ? MatmulReference.Transpose(matrix, outputs) : matrix, [], inputs);
            Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(inputs) + clock.Rounding);
        }

        clock.Time(name, bytes, flops, action);
        foreach (DeviceBuffer weight in weights) weight.Dispose();
    }
}
