using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class MatmulLoraBench
{
    // Adapted layers of the 1b and mini shapes: decoding and training.
    private static readonly (int Rows, int Outputs, int Inputs, int Rank, DType Type)[] Cases =
        [(1, 6912, 1152, 16, DType.BF16), (128, 2048, 640, 16, DType.BF16), (512, 640, 2048, 16, DType.F32), (350, 384, 128, 8, DType.F32)];

    public static void Run(Stopclock clock)
    {
        clock.Heading("matmul_lora forward, y[T, O] = x[T, K]·wᵀ + s·(x·Aᵀ)·Bᵀ");
        foreach ((int rows, int outputs, int inputs, int rank, DType type) in clock.Choose(Cases, [(32, 256, 256, 16, DType.BF16), (1, 10240, 2560, 16, DType.BF16), (2048, 10240, 2560, 16, DType.BF16), (2048, 2560, 10240, 16, DType.BF16)], [(3, 40, 24, 4, DType.BF16)])) Time(clock, rows, outputs, inputs, rank, type);
    }

    private static void Time(Stopclock clock, int rows, int outputs, int inputs, int rank, DType type)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        using var arena = new Arena(device);
        using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(rows, inputs), sample.Floats(rows * inputs));
        using DeviceBuffer w = clock.Matrix(new Shape(outputs, inputs), Stopclock.Floats(sample, outputs * inputs), type);
        using DeviceBuffer y = DeviceBuffer.Zeros(device, new Shape(rows, outputs));
        using DeviceBuffer a = DeviceBuffer.Of(device, new Shape(rank, inputs), sample.Floats(rank * inputs));
        using DeviceBuffer b = DeviceBuffer.Of(device, new Shape(outputs, rank), sample.Floats(outputs * rank));
        var lora = new LoraWeights { A = a.View, B = b.View, Scale = 1 };
        string name = $"T {rows}, O {outputs}, K {inputs}, R {rank}, {type.ToString().ToLowerInvariant()}";
        void Forward(int _) => MatmulLora.Forward(x.View, w.View, default, lora, y.View, arena, null);

        Forward(0);
        if (device is CpuDevice || Stopclock.Verifies((double)rows * outputs * inputs))
        {
            double[] ones = Array.ConvertAll(new double[rows * inputs], _ => 1.0), left = Sample.Widen(x.View.ToFloats());
            double[] expected = MatmulLoraReference.Forward<double, RealFunctions>(
                left, Sample.Widen(w.View.ToFloats()), [], Sample.Widen(a.View.ToFloats()), Sample.Widen(b.View.ToFloats()), ones, 1, inputs);
            Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(inputs + rank) + clock.Rounding);
        }

        double bytes = (double)outputs * inputs * type.Size() + 4.0 * (rows * (inputs + outputs) + rank * (inputs + outputs));
        clock.Time(name, bytes, 2.0 * rows * ((double)outputs * inputs + (double)rank * (inputs + outputs)), Forward);
    }
}
