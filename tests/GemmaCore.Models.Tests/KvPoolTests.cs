using GemmaCore.Tensors;

namespace GemmaCore.Models.Tests;

/// <summary>Sequences that share pages compute what each computes with pages of its own, bit for bit, and no page is lost.</summary>
public sealed class KvPoolTests
{
    // Chunks and single tokens, prefixes kept, taken over and given up, past the sliding window, in a pool with no page to spare.
    [Theory]
    [InlineData("cpu", 1, 400, DType.F32, 6)]
    [InlineData("cpu", 2, 400, DType.BF16, 6)]
    [InlineData("cpu", 3, 120, DType.F32, 6)]
    [InlineData("h200/adversarial", 4, 90, DType.BF16, 3)]
    [InlineData("gtx1650/random", 5, 90, DType.F32, 3)]
    public void Shared_pages_change_nothing(string device, int seed, int capacity, DType dtype, int rounds)
    {
        using var embedded = new EmbeddedModel(device: device);
        LanguageModel model = embedded.Model;
        model.KvType = dtype;
        var random = new Random(seed);
        const int sequences = 3;
        int[] document = [.. Enumerable.Range(0, capacity).Select(_ => random.Next(10, 200))];
        using KvPool pool = model.CreatePool(sequences * model.KvLayout.PagesOf(capacity));
        var kept = new List<KvSegment>();
        int givenUp = 0;
        pool.GiveUp = () =>
        {
            if (kept.Count == 0) return false;
            kept[^1].Dispose(); // the end of the chain first
            kept.RemoveAt(kept.Count - 1);
            givenUp++;
            return true;
        };
        int takenOver = 0;
        for (int round = 0; round < rounds; round++)
        {
            KvCache[] shared = [.. Enumerable.Range(0, sequences).Select(_ => new KvCache(pool, capacity))];
            KvCache[] own = [.. Enumerable.Range(0, sequences).Select(_ => model.CreateCache(capacity))];
            for (int i = 0; i < sequences; i++)
            {
                // What is kept is taken over by one alone; the other computes it.
                for (int next = 0; next < kept.Count && random.Next(4) > 0; next++)
                {
                    shared[i].Append(kept[next]);
                    Pass(embedded, document[kept[next].Start..kept[next].End], own[i]);
                    takenOver++;
                }
            }

            int end = round % 2 == 0 ? capacity / 2 : capacity; // what is kept outlives the shorter rounds
            bool follows = true; // the sequence that keeps its chunks has the document's tokens so far
            while (shared.Any(cache => cache.Length < end))
                for (int i = 0; i < sequences; i++)
                {
                    int length = shared[i].Length, count = Math.Min(end - length, random.Next(3) == 0 ? random.Next(1, 90) : 1);
                    if (count <= 0) continue;
                    bool asWritten = i == 0 || random.Next(2) == 0;
                    int[] ids = asWritten ? document[length..(length + count)] : [.. Enumerable.Range(0, count).Select(_ => random.Next(10, 200))];
                    Assert.Equal(Pass(embedded, ids, own[i]), Pass(embedded, ids, shared[i]));
                    if (i > 0) continue;
                    follows &= (kept.Count == 0 ? 0 : kept[^1].End) == length;
                    if (follows && kept.Count < 5) kept.Add(shared[0].Keep(length));
                }

            foreach (KvCache cache in (KvCache[])[.. shared, .. own]) cache.Dispose();
        }

        Assert.True(takenOver > 0 && givenUp > 0, $"{takenOver} taken over, {givenUp} given up");
        foreach (KvSegment segment in kept) segment.Dispose();
        Assert.Equal(0, pool.UsedPages);
    }

    // Past a window of 32, in chunks and single tokens.
    [Theory]
    [InlineData("cpu")]
    [InlineData("gtx1650/random")]
    [InlineData("t4/round_robin")]
    [InlineData("h200/adversarial")]
    public void Bf16_takes_half_the_memory_and_changes_logits_by_its_rounding(string device)
    {
        int[] ids = [.. Enumerable.Range(0, 70).Select(i => (i * 37 % 190) + 10)];
        var logits = new Dictionary<DType, float[]>();
        var bytes = new Dictionary<DType, long>();
        foreach (DType dtype in (DType[])[DType.F32, DType.BF16])
        {
            using var embedded = new EmbeddedModel(device: device);
            embedded.Model.KvType = dtype;
            bytes[dtype] = embedded.Model.CacheBytes(ids.Length);
            long before = embedded.Device.AllocatedBytes;
            using KvCache cache = embedded.Model.CreateCache(ids.Length);
            Assert.InRange(embedded.Device.AllocatedBytes - before, bytes[dtype], bytes[dtype] + 4096);
            Pass(embedded, ids[..20], cache);
            for (int i = 20; i < 50; i++) Pass(embedded, ids[i..(i + 1)], cache);
            embedded.Arena.Reset();
            var batch = new TokenBatch();
            batch.Add(ids.AsSpan(50), -1, cache);
            logits[dtype] = embedded.Logits(embedded.Model.Forward(batch, embedded.Arena, null));
        }

        Assert.Equal(bytes[DType.F32], 2 * bytes[DType.BF16]);
        // Two roundings of 2⁻⁹ in each of six layers, relative to logits of up to 30 or so.
        double largest = logits[DType.F32].Max(Math.Abs), error = logits[DType.F32].Zip(logits[DType.BF16], (a, b) => Math.Abs(a - b)).Max();
        Assert.InRange(error / largest, 1e-6, 12 * Math.Pow(2, -9));
    }

    [Fact]
    public void Other_formats_are_refused()
    {
        using var embedded = new EmbeddedModel();
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => embedded.Model.KvType = DType.F16);
        Assert.Contains("F32 or BF16, not in F16", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_shared_page_is_held_once()
    {
        using var embedded = new EmbeddedModel();
        LanguageModel model = embedded.Model;
        using KvPool pool = model.CreatePool(1000);
        using var first = new KvCache(pool, 100);
        Pass(embedded, [.. Enumerable.Range(10, 40)], first);
        int held = pool.UsedPages;
        Assert.Equal((model.KvLayout.PagesOf(40), held), (held, first.PageCount));
        using KvSegment segment = first.Keep(0);
        Assert.Equal((40, held, held * model.PageBytes), (segment.End, pool.UsedPages, segment.Bytes));
        using var second = new KvCache(pool, 50);
        second.Append(segment);
        Assert.Equal((40, held), (second.Length, pool.UsedPages));

        // The 41st token goes in the third page, which others hold: a copy for each group of layers. The next eight go in the same.
        Pass(embedded, [7], second);
        Assert.Equal(held + model.KvLayout.GroupCount, pool.UsedPages);
        Pass(embedded, [.. Enumerable.Range(10, 7)], second);
        Assert.Equal(held + model.KvLayout.GroupCount, pool.UsedPages);
    }

    [Fact]
    public void What_does_not_fit_is_refused()
    {
        using var embedded = new EmbeddedModel();
        LanguageModel model = embedded.Model;
        using KvPool pool = model.CreatePool(model.KvLayout.PagesOf(32)), another = model.CreatePool(model.KvLayout.PagesOf(32));
        using var first = new KvCache(pool, 32);
        using var second = new KvCache(pool, 32);
        Assert.Throws<ArgumentException>(() => first.Prepare(33));
        Assert.Throws<ArgumentOutOfRangeException>(() => first.Keep(0));
        Pass(embedded, [.. Enumerable.Range(10, 32)], first);
        Assert.Throws<ArgumentException>(() => first.Prepare(1));
        var error = Assert.Throws<InvalidOperationException>(() => second.Prepare(1));
        Assert.Contains($"all {pool.PageCount} pages", error.Message, StringComparison.Ordinal);
        using KvSegment segment = first.Keep(0);
        Assert.Throws<ArgumentException>(() => new KvCache(another, 32).Append(segment));
        Assert.Throws<ArgumentException>(() => new KvCache(pool, 31).Append(segment));
        Assert.Throws<ArgumentException>(() => first.Append(segment));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.CreatePool(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new KvCache(pool, 0));
    }

    private static float[] Pass(EmbeddedModel embedded, int[] ids, KvCache cache)
    {
        embedded.Arena.Reset();
        var batch = new TokenBatch();
        batch.Add(ids, -1, cache);
        return embedded.Model.Forward(batch, embedded.Arena, null).ToFloats();
    }
}
