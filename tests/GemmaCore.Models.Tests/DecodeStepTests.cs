using System.Runtime.InteropServices;
using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>One step of decoding, as the generator does it: a token through the model, and the most likely next one read back.</summary>
[Collection(nameof(CountedCalls))]
public sealed class DecodeStepTests
{
    public static TheoryData<string> Cards => [.. TestDevices.Cards()];

    public static TheoryData<string> Devices => ["cpu", .. TestDevices.Cards()];

    [Theory]
    [MemberData(nameof(Devices))]
    public void Allocates_no_managed_memory(string device)
    {
        const int warmUp = 70, measured = 50; // between two doublings of the splits of the keys
        using var run = new Run(device, warmUp + measured);
        long allocated = 0;
        for (int i = 0; i < warmUp + measured; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            run.Step();
            if (i >= warmUp) allocated += GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Assert.Equal(0, allocated);
    }

    // A split is 32 keys and their number goes in powers of two: 1, 2, 4 and, past 128 keys, 8. With each the launch is another, and is recorded anew. Where a page of the
    // cache begins, its table goes to the card in front of the graph.
    [Theory]
    [MemberData(nameof(Cards))]
    public void Is_one_graph_launch_and_one_read_back(string card)
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("only the simulator counts calls");
        const int steps = 140, recordings = 4, perRecording = 2; // one step to record, one to make the graph
        const int replay = 3, upload = 3; // calls: the graph, the copy to page-locked memory, the wait for it; an upload and its two events
        (List<int> ids, List<long> calls) = Steps(card, steps, announced: true);
        int others = calls.Where((count, i) => count > replay + (i % KvLayout.PageRows == 0 ? upload : 0)).Count();
        Assert.True(others <= recordings * perRecording, $"{others} of {steps} steps were not replayed: {string.Join(' ', calls)}");
        // Without a graph, past two changes of the launch; a simulated card is slow.
        const int compared = 70;
        Assert.Equal(Steps(card, compared, announced: false).Ids, ids[..compared]);
    }

    private static (List<int> Ids, List<long> Calls) Steps(string card, int count, bool announced)
    {
        using var run = new Run(card, count) { Announces = announced };
        var ids = new List<int>();
        var calls = new List<long>();
        for (int i = 0; i < count; i++)
        {
            long before = Simulator.CallCount;
            ids.Add(run.Step());
            calls.Add(Simulator.CallCount - before);
        }

        return (ids, calls);
    }

    private sealed class Run(string device, int capacity) : IDisposable
    {
        private readonly EmbeddedModel _embedded = new(device: device);
        private readonly TokenBatch _batch = new();
        private KvCache? _cache;
        private int _id = 10;

        public bool Announces { get; init; } = true;

        public int Step()
        {
            _cache ??= _embedded.Model.CreateCache(capacity);
            _embedded.Arena.Reset();
            _batch.Clear();
            _batch.Add(new ReadOnlySpan<int>(ref _id), -1, _cache);
            if (Announces) _embedded.Device.BeginRepeatable(1);
            TensorView hidden = _embedded.Model.Forward(_batch, _embedded.Arena, null);
            TensorView logits = _embedded.Arena.Take(new Shape(1, _embedded.Model.Layout.VocabularySize)), best = _embedded.Arena.Take(new Shape(1, 1), DType.I32);
            _embedded.Model.Logits(hidden, logits);
            TopK.Forward(logits, best, default, default);
            _embedded.Device.CopyToHost(best, MemoryMarshal.AsBytes(new Span<int>(ref _id)));
            return _id;
        }

        public void Dispose()
        {
            _cache?.Dispose();
            _embedded.Dispose();
        }
    }
}

/// <summary>The simulator counts the calls of the whole process: no other test may make any meanwhile.</summary>
[CollectionDefinition(nameof(CountedCalls), DisableParallelization = true)]
public sealed class CountedCalls;
