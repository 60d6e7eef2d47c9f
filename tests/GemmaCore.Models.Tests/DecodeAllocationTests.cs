using GemmaCore.Tensors;

namespace GemmaCore.Models.Tests;

public sealed class DecodeAllocationTests
{
    [Fact]
    public void A_decode_step_allocates_no_managed_memory()
    {
        const int warmUp = 20, measured = 50;
        using var embedded = new EmbeddedModel();
        using KvCache cache = embedded.Model.CreateCache(warmUp + measured);
        var batch = new TokenBatch();
        long allocated = 0;
        for (int i = 0; i < warmUp + measured; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            Step(embedded, batch, cache, id: 10 + i);
            if (i >= warmUp) allocated += GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Assert.Equal(0, allocated);
    }

    private static void Step(EmbeddedModel embedded, TokenBatch batch, KvCache cache, int id)
    {
        embedded.Arena.Reset();
        batch.Clear();
        batch.Add(new ReadOnlySpan<int>(ref id), -1, cache);
        TensorView hidden = embedded.Model.Forward(batch, embedded.Arena, null);
        embedded.Model.Logits(hidden, embedded.Arena.Take(new Shape(1, embedded.Model.Layout.VocabularySize)));
    }
}
