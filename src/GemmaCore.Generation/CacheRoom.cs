using GemmaCore.Inputs;
using GemmaCore.Models;

namespace GemmaCore.Generation;

/// <summary>The pool of keys and values of a <see cref="BatchScheduler"/>, and whether one more has room in it.</summary>
/// <param name="model">Whose keys and values.</param>
/// <param name="limits">What it may take; without a limit of bytes, as many as everybody needs who waits when nobody is under way.</param>
/// <param name="giveUp">Gives up something that is only kept for later; false when there is nothing of the kind.</param>
internal sealed class CacheRoom(LanguageModel model, BatchLimits limits, Func<bool> giveUp) : IDisposable
{
    private readonly bool _unlimited = limits.MaxCacheBytes == long.MaxValue;
    private KvPool? _pool = limits.MaxCacheBytes == long.MaxValue ? null : NewPool(model, limits.MaxCacheBytes / model.PageBytes, giveUp);
    private long _expected;

    /// <summary>Pages of the pool.</summary>
    public int PageCount => _pool?.PageCount ?? 0;

    /// <summary>Refuses a request that would have no room even when alone.</summary>
    /// <exception cref="InputException">Its keys and values take more than the limit.</exception>
    public static void Check(GenerationRequest request, LanguageModel model, BatchLimits limits)
    {
        long bytes = model.CacheBytes(Capacity(request, model));
        if (bytes > limits.MaxCacheBytes)
            throw new InputException($"the request needs {bytes} bytes of keys and values for {request.TokenCount} tokens, but {limits.MaxCacheBytes} are set aside; ask for fewer tokens");
    }

    /// <summary>A request waits.</summary>
    public void Expect(GenerationRequest request) => _expected += PagesOf(Capacity(request, model));

    /// <summary>It waits no longer.</summary>
    public void ExpectNoMore(GenerationRequest request) => _expected -= PagesOf(Capacity(request, model));

    /// <summary>True when one more can start beside those under way, with <see cref="BatchLimits.Headroom"/> for everybody; always when nobody is.</summary>
    /// <exception cref="OutOfMemoryException">There is no memory for those who wait; a card says so with an exception of its own.</exception>
    public bool HasRoom(Sequence next, IReadOnlyList<Sequence> running)
    {
        if (_unlimited && running.Count == 0 && (_pool is null || _pool.PageCount < _expected))
        {
            Release();
            _pool = NewPool(model, _expected, giveUp);
        }

        long pages = PagesSoon(next);
        foreach (Sequence sequence in running) pages += PagesSoon(sequence);
        return pages <= _pool!.PageCount;
    }

    /// <summary>True when a pass with the next tokens of these finds its pages, once what is only kept for later has been given up.</summary>
    public bool HasPages(IReadOnlyList<Sequence> sequences)
    {
        while (true)
        {
            int pages = 0;
            foreach (Sequence sequence in sequences) pages += sequence.Cache!.PagesFor(sequence.NextIds.Length);
            if (pages <= _pool!.FreePages) return true;
            if (!giveUp()) return false;
        }
    }

    /// <summary>An empty cache for a request.</summary>
    public KvCache NewCache(GenerationRequest request) => new(_pool!, Capacity(request, model));

    /// <summary>Bytes that those under way hold. A page that several of them hold counts for each, up to all there are.</summary>
    public long HeldBytes(IReadOnlyList<Sequence> running)
    {
        long pages = 0;
        foreach (Sequence sequence in running) pages += sequence.Cache!.PageCount;
        return Math.Min(pages, PageCount) * model.PageBytes;
    }

    /// <summary>Gives up all that is kept and, without a limit, the memory that the last requests had; nobody may be under way.</summary>
    public void Release()
    {
        while (giveUp())
        {
        }

        if (!_unlimited) return;
        _pool?.Dispose();
        _pool = null;
    }

    /// <inheritdoc/>
    public void Dispose() => _pool?.Dispose();

    private static int Capacity(GenerationRequest request, LanguageModel model) => (int)Math.Min(model.Layout.MaxPositions, request.TokenCount);

    private static KvPool NewPool(LanguageModel model, long pages, Func<bool> giveUp)
    {
        KvPool pool = model.CreatePool((int)Math.Clamp(pages, 1, int.MaxValue / KvLayout.PageRows));
        pool.GiveUp = giveUp;
        return pool;
    }

    // Without a limit there is room for all that anybody may take, and so nobody is pushed out.
    private int PagesSoon(Sequence sequence)
    {
        int capacity = Capacity(sequence.Request, model);
        return PagesOf(_unlimited ? capacity : (int)Math.Min(capacity, (long)sequence.Length + limits.Headroom));
    }

    private int PagesOf(int tokens) => model.KvLayout.PagesOf(tokens);
}
