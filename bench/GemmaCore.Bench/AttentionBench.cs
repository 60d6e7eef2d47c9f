using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class AttentionBench
{
    public static void Run(Stopclock clock)
    {
        Verify(clock.Device);
        Stopclock.Heading("attention forward, T rows over a past");
        // Two of SigLIP's sixteen heads at 896 px; Gemma 3 4B prefill; the embedded model; decoding over a long and a windowed past.
        Time(clock, rows: 4096, past: 0, heads: 2, keyHeads: 2, headSize: 72, causal: false, backward: false);
        Time(clock, rows: 1024, past: 0, heads: 8, keyHeads: 4, headSize: 256, causal: true, backward: false);
        Time(clock, rows: 350, past: 0, heads: 4, keyHeads: 1, headSize: 32, causal: true, backward: false);
        Time(clock, rows: 1, past: 8192, heads: 8, keyHeads: 4, headSize: 256, causal: true, backward: false);
        Time(clock, rows: 1, past: 1023, heads: 8, keyHeads: 4, headSize: 256, causal: true, backward: false);
        Stopclock.Heading("attention forward + backward");
        Time(clock, rows: 512, past: 0, heads: 8, keyHeads: 4, headSize: 256, causal: true, backward: true);
        Time(clock, rows: 350, past: 0, heads: 4, keyHeads: 1, headSize: 32, causal: true, backward: true);
    }

    private static void Verify(CpuDevice device)
    {
        const int rows = 130, heads = 4, keyHeads = 2, headSize = 72;
        var sample = new Sample(1);
        int[] start = new int[rows], end = [.. Enumerable.Range(1, rows)];
        using DeviceBuffer q = Random(device, sample, rows, heads, headSize), k = Random(device, sample, rows, keyHeads, headSize);
        using DeviceBuffer v = Random(device, sample, rows, keyHeads, headSize), y = DeviceBuffer.Zeros(device, q.View.Shape);
        using var arena = new Arena(device);
        Attention.Forward(
            q.View, k.View, v.View, [new AttentionSequence(0, rows)], arena.TakeInts(start), arena.TakeInts(end), 0.125f, y.View, default, null);
        double[] expected = AttentionReference.Forward<double, RealFunctions>(
            Sample.Widen(q.View.ToFloats()), Sample.Widen(k.View.ToFloats()), Sample.Widen(v.View.ToFloats()), heads, keyHeads, headSize, start, end, 0.125);
        Stopclock.Verify("attention", Tolerance.RelativeError(y.View.ToFloats(), expected), 4 * Tolerance.Float32(rows + headSize));
    }

    private static void Time(Stopclock clock, int rows, int past, int heads, int keyHeads, int headSize, bool causal, bool backward)
    {
        CpuDevice device = clock.Device;
        var sample = new Sample(1);
        using var arena = new Arena(device);
        using var gradients = new GradientPool(device);
        using DeviceBuffer q = Random(device, sample, rows, heads, headSize), k = Random(device, sample, rows, keyHeads, headSize);
        using DeviceBuffer v = Random(device, sample, rows, keyHeads, headSize), y = DeviceBuffer.Zeros(device, q.View.Shape);
        using DeviceBuffer pastKeys = Random(device, sample, past + 1, keyHeads, headSize), pastValues = Random(device, sample, past + 1, keyHeads, headSize);
        using DeviceBuffer lse = DeviceBuffer.Zeros(device, new Shape(rows, heads));
        using DeviceBuffer start = new(device, new Shape(rows), DType.I32), end = new(device, new Shape(rows), DType.I32);
        start.View.AsSpan<int>().Clear();
        for (int i = 0; i < rows; i++) end.View.AsSpan<int>()[i] = causal ? past + i + 1 : rows;
        AttentionSequence[] sequences = [new(0, rows, pastKeys.View, pastValues.View, 0, past)];
        var tape = new Tape(arena, gradients, seed: 1);

        double pairs = causal ? (double)rows * past + rows * (rows + 1.0) / 2 : (double)rows * rows;
        // Two products forward; seven backward, since dQ and dK/dV compute the probabilities separately.
        double flops = (backward ? 9 : 2) * 2.0 * heads * headSize * pairs;
        double bytes = 4.0 * headSize * ((2.0 * rows * heads) + (2.0 * (rows + past) * keyHeads));
        clock.Time($"T {rows}, past {past}, N {heads}, K {keyHeads}, H {headSize}{(causal ? ", causal" : "")}", bytes, flops, _ =>
        {
            if (backward)
            {
                tape.Track(q.View);
                tape.Track(k.View);
                tape.Track(v.View);
            }

            Attention.Forward(
                q.View, k.View, v.View, sequences, start.View, end.View, 0.0625f, y.View, backward ? lse.View : default, backward ? tape : null);
            if (!backward) return;
            tape.GradientFor(y.View, out bool _);
            tape.Backward();
            arena.Reset();
        });
    }

    private static DeviceBuffer Random(CpuDevice device, Sample sample, int rows, int heads, int headSize) =>
        DeviceBuffer.Of(device, new Shape(rows, heads, headSize), sample.Floats(rows * heads * headSize));
}
