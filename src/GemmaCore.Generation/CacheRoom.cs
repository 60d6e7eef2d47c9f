using GemmaCore.Inputs;
using GemmaCore.Models;

namespace GemmaCore.Generation;

/// <summary>
/// The pool of keys and values of a <see cref="BatchScheduler"/>, and who has how much of it: a request's pages, prompt and answer, are set aside when it starts, so that
/// nothing under way is ever pushed out again.
/// </summary>
/// <param name="model">Whose keys and values.</param>
/// <param name="maxBytes">Bytes of the pool; <see cref="long.MaxValue"/> for as many as everybody needs who waits when nobody is under way.</param>
/// <param name="giveUp">Gives up something that is only kept for later; false when there is nothing of the kind.</param>
internal sealed class CacheRoom(LanguageModel model, long maxBytes, Func<bool> giveUp) : IDisposable
{
    private readonly bool _unlimited = maxBytes == long.MaxValue;
    private KvPool? _pool = maxBytes == long.MaxValue ? null : NewPool(model, maxBytes / model.PageBytes, giveUp);
    private int _taken;
    private long _expected;

    /// <summary>Bytes set aside for who is under way.</summary>
    public long Bytes => _taken * model.PageBytes;

    /// <summary>Pages of the pool.</summary>
    public int PageCount => _pool?.PageCount ?? 0;

    /// <summary>Refuses a request that would never have room.</summary>
    /// <exception cref="InputException">Its keys and values take more than <paramref name="maxBytes"/>.</exception>
    public static void Check(GenerationRequest request, LanguageModel model, long maxBytes)
    {
        long bytes = model.CacheBytes(Capacity(request, model));
        if (bytes > maxBytes)
            throw new InputException($"the request needs {bytes} bytes of keys and values for {request.TokenCount} tokens, but {maxBytes} are set aside; ask for fewer tokens");
    }

    /// <summary>A request waits.</summary>
    public void Expect(GenerationRequest request) => _expected += Pages(request);

    /// <summary>It waits no longer.</summary>
    public void ExpectNoMore(GenerationRequest request) => _expected -= Pages(request);

    /// <summary>True when a request that waits can start.</summary>
    /// <exception cref="OutOfMemoryException">There is no memory for those who wait; a card says so with an exception of its own.</exception>
    public bool HasRoom(GenerationRequest request)
    {
        if (_unlimited && _taken == 0 && (_pool is null || _pool.PageCount < _expected))
        {
            Release();
            _pool = NewPool(model, _expected, giveUp);
        }

        return _taken + Pages(request) <= _pool!.PageCount;
    }

    /// <summary>The cache of a request for which there is room.</summary>
    public KvCache Take(GenerationRequest request)
    {
        var cache = new KvCache(_pool!, Capacity(request, model));
        _taken += Pages(request);
        return cache;
    }

    /// <summary>The request is over, and its cache goes.</summary>
    public void Return(GenerationRequest request) => _taken -= Pages(request);

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

    private int Pages(GenerationRequest request) => model.KvLayout.PagesOf(Capacity(request, model));
}
