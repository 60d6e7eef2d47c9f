using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class LinearCrossEntropyBench
{
    // Supervised rows, width, vocabulary: the embedded model, and a sixteenth of Gemma's vocabulary at width 640.
    private static readonly (int Rows, int Columns, int Vocabulary)[] Cases = [(64, 128, 1024), (128, 640, 16384)];

    public static void Run(Stopclock clock)
    {
        clock.Heading("linear cross entropy with dHidden");
        foreach ((int rows, int columns, int vocabulary) in clock.Choose(Cases, [(64, 128, 1024), (512, 2560, 262_208)], [(3, 40, 50)])) Time(clock, rows, columns, vocabulary);
    }

    private static void Time(Stopclock clock, int rows, int columns, int vocabulary)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        using var arena = new Arena(device);
        using var gradients = new GradientPool(device);
        using DeviceBuffer hidden = DeviceBuffer.Of(device, new Shape(rows, columns), sample.Floats(rows * columns));
        using DeviceBuffer head = clock.Matrix(new Shape(vocabulary, columns), Stopclock.Floats(sample, vocabulary * columns), device is CpuDevice ? DType.F32 : DType.BF16);
        var dense = new DenseMatrix(head.View);
        int[] all = [.. Enumerable.Range(0, rows)], targets = Array.ConvertAll(all, _ => sample.Below(vocabulary));
        string name = $"R {rows}, D {columns}, V {vocabulary}";

        if (Stopclock.Verifies((double)vocabulary * columns))
        {
            double loss = LinearCrossEntropy.Forward(hidden.View, dense, all.AsSpan(0, 2), targets.AsSpan(0, 2), 1, arena, null);
            double expected = LinearCrossEntropyReference.Forward<double, RealFunctions>(
                Sample.Widen(hidden.View.ToFloats()), Sample.Widen(head.View.ToFloats()), columns, [0, 1], [targets[0], targets[1]])[0];
            Stopclock.Verify(name, Math.Abs(loss - expected) / expected, Tolerance.Float32(columns) + clock.Rounding);
        }

        var tape = new Tape(arena, gradients, seed: 1);
        // The head is read twice, the logits are written, read three times and written twice more.
        double bytes = (2.0 * head.View.DType.Size() * vocabulary * columns) + (24.0 * rows * vocabulary), flops = 4.0 * rows * columns * vocabulary;
        clock.Time(name, bytes, flops, _ =>
        {
            tape.Track(hidden.View);
            LinearCrossEntropy.Forward(hidden.View, dense, all, targets, 1, arena, tape);
            tape.Backward();
            arena.Reset();
        });
    }
}
