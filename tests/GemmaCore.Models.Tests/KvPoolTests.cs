namespace GemmaCore.Models.Tests;

/// <summary>Sequences that share pages compute what each computes with pages of its own, bit for bit, and no page is lost.</summary>
public sealed class KvPoolTests
{
    // Chunks and single tokens, prefixes kept, taken over and given up, past the sliding window, in a pool with no page to spare.
    [Theory]
    [InlineData("cpu", 1, 400)]
    [InlineData("cpu", 2, 400)]
    [InlineData("cpu", 3, 120)]
    [InlineData("h200/adversarial", 4, 90)]
    [InlineData("gtx1650/random", 5, 90)]
    public void Shared_pages_change_nothing(string device, int seed, int capacity)
    {
        using var embedded = new EmbeddedModel(device: device);
        LanguageModel model = embedded.Model;
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
        for (int round = 0; round < 6; round++)
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
