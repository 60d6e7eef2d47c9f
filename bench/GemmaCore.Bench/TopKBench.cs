using System.Runtime.InteropServices;
using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Testing.References;

namespace GemmaCore.Bench;

public static class TopKBench
{
    public static void Run(Stopclock clock)
    {
        Device device = clock.Device;
        clock.Heading("top k, rows x vocabulary");
        foreach ((int rows, int vocabulary, int k) in clock.Choose<(int, int, int)>([(1, 262_208, 1), (16, 262_208, 1), (1, 262_208, 65)], [(1, 262_208, 1), (16, 262_208, 1), (1, 262_208, 65)], [(2, 1000, 3)]))
        {
            string name = $"{rows} x {vocabulary}, k {k}";
            float[] values = new Sample(1).Floats(rows * vocabulary, -20, 20);
            using DeviceBuffer logits = DeviceBuffer.Of(device, new Shape(rows, vocabulary), values);
            using var ids = new DeviceBuffer(device, new Shape(rows, k), DType.I32);
            void Step(int _) => TopK.Forward(logits.View, ids.View, default, default);
            Step(0);
            int[] found = new int[rows * k];
            device.CopyToHost(ids.View, MemoryMarshal.AsBytes(found.AsSpan()));
            int[] expected = TopKReference.Forward(values[..vocabulary]).Ids[..k];
            Stopclock.Verify(name, found.AsSpan(0, k).SequenceEqual(expected) ? 0 : 1, 0);
            clock.Time(name, 4.0 * rows * vocabulary, (double)rows * vocabulary, Step);
        }
    }
}
