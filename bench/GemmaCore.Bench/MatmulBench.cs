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
        (1, 6912, 1152, DType.BF16), (1, 1152, 6912, DType.BF16), (1, 1024, 1152, DType.BF16), (4, 6912, 1152, DType.BF16), (8, 6912, 1152, DType.BF16),
        (1, 2048, 640, DType.BF16), (1, 2048, 640, DType.F32),
        (128, 2048, 640, DType.BF16), (128, 640, 2048, DType.BF16), (512, 2048, 640, DType.F32), (512, 640, 2048, DType.F32),
        (128, 6912, 1152, DType.BF16), (128, 1152, 6912, DType.BF16), (512, 6912, 1152, DType.BF16),
        (32, 2048, 640, DType.F32), (64, 2048, 640, DType.F32), (16, 6912, 1152, DType.BF16),
        (350, 128, 128, DType.F32), (350, 144, 128, DType.F32), (350, 384, 128, DType.F32), (350, 128, 384, DType.F32), (350, 288, 144, DType.F32),
        (40, 128, 128, DType.F32), (1, 128, 128, DType.F32),
    ];

    public static void Run(Stopclock clock)
    {
        Stopclock.Heading("matmul forward, y[T, O] = x[T, K]·wᵀ");
        foreach ((int rows, int outputs, int inputs, DType type) in Cases) Time(clock, rows, outputs, inputs, type, backward: false);
        Stopclock.Heading("matmul backward, dX[T, O] = dY[T, K]·w[K, O]");
        foreach ((int rows, int outputs, int inputs, DType type) in Cases.Where(c => c.Rows >= 32)) Time(clock, rows, outputs, inputs, type, backward: true);
    }

    private static void Time(Stopclock clock, int rows, int outputs, int inputs, DType type, bool backward)
    {
        CpuDevice device = clock.Device;
        var sample = new Sample(1);
        string name = $"T {rows}, O {outputs}, K {inputs}, {type.ToString().ToLowerInvariant()}";
        long weightBytes = (long)outputs * inputs * type.Size();
        // Decoding meets every weight cold: enough copies to outgrow the caches.
        int copies = rows <= 16 && weightBytes > 1 << 20 ? (int)Math.Clamp((256L << 20) / weightBytes, 2, 256) : 1;
        using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(rows, inputs), sample.Floats(rows * inputs));
        using DeviceBuffer y = DeviceBuffer.Zeros(device, new Shape(rows, outputs));
        DeviceBuffer[] weights = [.. Enumerable.Range(0, copies).Select(_ => Weights(device, backward ? new Shape(inputs, outputs) : new Shape(outputs, inputs), type))];

        double flops = 2.0 * rows * outputs * inputs, bytes = weightBytes + 4.0 * rows * (inputs + outputs);
        void Forward(int i) => Matmul.Forward(x.View, weights[i % copies].View, default, y.View, null);
        void Backward(int i) => MultiplyBack(device, x.View, weights[i % copies].View, y.View);

        double[] left = Sample.Widen(x.View.ToFloats()), matrix = Sample.Widen(weights[0].View.ToFloats());
        Action<int> action = backward ? Backward : Forward;
        action(0);
        double[] expected = MatmulReference.Forward<double, RealFunctions>(
            left, backward ? MatmulReference.Transpose(matrix, outputs) : matrix, [], inputs);
        Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(inputs));
        clock.Time(name, bytes, flops, action);
        foreach (DeviceBuffer weight in weights) weight.Dispose();
    }

    // dX = dY·w as Matmul's backward pass computes it: x holds dY and y receives dX.
    private static unsafe void MultiplyBack(CpuDevice device, TensorView x, TensorView w, TensorView y) =>
        Gemm.NN(device.Workers, x.Floats, (void*)w.Pointer, w.DType, y.Floats, x.Shape.Rows, x.Shape.Columns, y.Shape.Columns, accumulate: false);

    private static DeviceBuffer Weights(CpuDevice device, Shape shape, DType type)
    {
        float[] values = new Sample(2).Floats((int)shape.ElementCount);
        var buffer = new DeviceBuffer(device, shape, type);
        if (type == DType.F32) buffer.View.CopyFrom(values);
        else Array.ConvertAll(values, BFloat16.FromSingle).CopyTo(buffer.View.AsSpan<ushort>());
        return buffer;
    }
}
