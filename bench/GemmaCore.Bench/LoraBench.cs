using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class LoraBench
{
    // Linear layers of the mini and embedded shapes under training.
    private static readonly (int Rows, int Outputs, int Inputs, int Rank)[] Cases =
        [(128, 2048, 640, 16), (512, 2048, 640, 16), (512, 640, 2048, 16), (350, 128, 128, 8), (350, 384, 128, 8), (350, 128, 384, 8)];

    public static void Run(Stopclock clock)
    {
        clock.Heading("lora forward + backward, y[T, O] += s·(x[T, K]·Aᵀ)·Bᵀ");
        foreach (float dropout in (float[])[0, 0.05f])
            foreach ((int rows, int outputs, int inputs, int rank) in clock.Choose(Cases, [(32, 256, 256, 16), (2048, 10240, 2560, 16), (2048, 2560, 10240, 16)], [(9, 40, 24, 4)])) Time(clock, rows, outputs, inputs, rank, dropout);
    }

    private static void Time(Stopclock clock, int rows, int outputs, int inputs, int rank, float dropout)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        using var arena = new Arena(device);
        using var gradients = new GradientPool(device);
        using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(rows, inputs), sample.Floats(rows * inputs));
        using DeviceBuffer y = DeviceBuffer.Zeros(device, new Shape(rows, outputs));
        using DeviceBuffer a = DeviceBuffer.Of(device, new Shape(rank, inputs), sample.Floats(rank * inputs));
        using DeviceBuffer b = DeviceBuffer.Of(device, new Shape(outputs, rank), sample.Floats(outputs * rank));
        using DeviceBuffer dA = DeviceBuffer.Zeros(device, a.View.Shape), dB = DeviceBuffer.Zeros(device, b.View.Shape);
        var lora = new LoraWeights { A = a.View, B = b.View, GradientA = dA.View, GradientB = dB.View, Scale = 1, Dropout = dropout };
        string name = $"T {rows}, O {outputs}, K {inputs}, R {rank}, dropout {dropout}";

        Lora.Forward(x.View, lora, y.View, arena, null);
        if (device is CpuDevice || Stopclock.Verifies((double)rows * rank * inputs))
        {
            double[] ones = Array.ConvertAll(new double[rows * inputs], _ => 1.0);
            double[] expected = LoraReference.Forward<double, RealFunctions>(
                Sample.Widen(x.View.ToFloats()), Sample.Widen(a.View.ToFloats()), Sample.Widen(b.View.ToFloats()), new double[rows * outputs], ones, 1, inputs);
            Stopclock.Verify(name, Tolerance.RelativeError(y.View.ToFloats(), expected), Tolerance.Float32(inputs + rank) + clock.Rounding);
        }


        var tape = new Tape(arena, gradients, seed: 1);
        // Forward moves x once and y twice; backward reads dY twice, x once and writes dX.
        double bytes = 4.0 * rows * (3.0 * inputs + 4.0 * outputs), flops = 6.0 * rows * rank * (inputs + outputs);
        clock.Time(name, bytes, flops, _ =>
        {
            tape.Track(x.View);
            Lora.Forward(x.View, lora, y.View, arena, tape);
            tape.GradientFor(y.View, out bool _);
            tape.Backward();
            arena.Reset();
        });
    }
}
