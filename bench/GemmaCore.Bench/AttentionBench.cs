using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class AttentionBench
{
    // Rows, past, heads, key heads, head size, causal. Two of SigLIP's sixteen heads at 896 px; Gemma 3 4B prefill; the embedded model; decoding over a
    // long and a windowed past. On a card all sixteen heads, and prompts of 2048 tokens.
    private static readonly (int, int, int, int, int, bool)[] Forward =
        [(4096, 0, 2, 2, 72, false), (1024, 0, 8, 4, 256, true), (350, 0, 4, 1, 32, true), (1, 8192, 8, 4, 256, true), (1, 1023, 8, 4, 256, true)];

    private static readonly (int, int, int, int, int, bool)[] CardForward =
        [(4096, 0, 16, 16, 72, false), (2048, 0, 8, 4, 256, true), (8192, 0, 8, 4, 256, true), (8192, 0, 8, 4, 256, false), (1, 8192, 8, 4, 256, true), (1, 1023, 8, 4, 256, true)];

    private static readonly (int, int, int, int, int, bool)[] Training = [(512, 0, 8, 4, 256, true), (350, 0, 4, 1, 32, true)];

    private static readonly (int, int, int, int, int, bool)[] CardTraining = [(2048, 0, 8, 4, 256, true), (8192, 0, 8, 4, 256, true), (4096, 0, 16, 16, 72, false)];

    private static readonly (int, int, int, int, int, bool)[] Tiny = [(20, 0, 2, 1, 32, true), (9, 0, 2, 2, 72, false), (1, 40, 2, 1, 32, true)];

    public static void Run(Stopclock clock)
    {
        Verify(clock);
        clock.Heading("attention forward, T rows over a past");
        foreach ((int rows, int past, int heads, int keyHeads, int headSize, bool causal) in clock.Choose(Forward, CardForward, Tiny)) Time(clock, rows, past, heads, keyHeads, headSize, causal, backward: false);
        clock.Heading("attention forward + backward");
        foreach ((int rows, int past, int heads, int keyHeads, int headSize, bool causal) in clock.Choose(Training, CardTraining, Tiny[..2]))
            Time(clock, rows, past, heads, keyHeads, headSize, causal, backward: true);
    }

    private static void Verify(Stopclock clock)
    {
        Device device = clock.Device;
        int rows = clock.Tiny ? 20 : 130;
        const int heads = 4, keyHeads = 2, headSize = 72;
        var sample = new Sample(1);
        int[] start = new int[rows], end = [.. Enumerable.Range(1, rows)];
        using DeviceBuffer q = Random(device, sample, rows, heads, headSize), k = Random(device, sample, rows, keyHeads, headSize);
        using DeviceBuffer v = Random(device, sample, rows, keyHeads, headSize), y = DeviceBuffer.Zeros(device, q.View.Shape);
        using var arena = new Arena(device);
        Attention.Forward(
            q.View, k.View, v.View, [new AttentionSequence(0, rows)], arena.TakeInts(start), arena.TakeInts(end), 0.125f, y.View, default, null);
        double[] expected = AttentionReference.Forward<double, RealFunctions>(
            Sample.Widen(q.View.ToFloats()), Sample.Widen(k.View.ToFloats()), Sample.Widen(v.View.ToFloats()), heads, keyHeads, headSize, start, end, 0.125);
        Stopclock.Verify("attention", Tolerance.RelativeError(y.View.ToFloats(), expected), 4 * Tolerance.Float32(rows + headSize) + 2 * clock.Rounding);
    }

    private static void Time(Stopclock clock, int rows, int past, int heads, int keyHeads, int headSize, bool causal, bool backward)
    {
        Device device = clock.Device;
        var sample = new Sample(1);
        using var arena = new Arena(device);
        using var gradients = new GradientPool(device);
        using DeviceBuffer q = Random(device, sample, rows, heads, headSize), k = Random(device, sample, rows, keyHeads, headSize);
        using DeviceBuffer v = Random(device, sample, rows, keyHeads, headSize), y = DeviceBuffer.Zeros(device, q.View.Shape);
        using DeviceBuffer pastKeys = Random(device, sample, past + 1, keyHeads, headSize), pastValues = Random(device, sample, past + 1, keyHeads, headSize);
        using DeviceBuffer lse = DeviceBuffer.Zeros(device, new Shape(rows, heads));
        using DeviceBuffer start = clock.Ints(new int[rows]), end = clock.Ints([.. Enumerable.Range(1, rows).Select(i => causal ? past + i : rows)]);
        AttentionSequence[] sequences = [new(0, rows, pastKeys.View, pastValues.View, 0, past)];
        var tape = new Tape(arena, gradients, seed: 1);

        double pairs = causal ? (double)rows * past + rows * (rows + 1.0) / 2 : (double)rows * rows;
        // Two products forward and five backward; probabilities that are computed again are not counted, as everywhere (kernels.md §5).
        double flops = (backward ? 7 : 2) * 2.0 * heads * headSize * pairs;
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

    private static DeviceBuffer Random(Device device, Sample sample, int rows, int heads, int headSize) =>
        DeviceBuffer.Of(device, new Shape(rows, heads, headSize), sample.Floats(rows * heads * headSize));
}
