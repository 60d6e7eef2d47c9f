using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>
/// Keys and values of all sequences under way and of what is kept for later ones, in pages that several of them may hold at once (arXiv:2309.06180). Every layer's
/// rows stay where they are from the first to the last, so that a decoding step is the same work every time. Not thread-safe.
/// </summary>
public sealed class KvPool : IDisposable
{
    private readonly DeviceBuffer[] _keys, _values;
    private readonly int[] _holders, _free;
    private int _freeCount;

    /// <summary>A pool of free pages.</summary>
    /// <param name="device">Where it lives.</param>
    /// <param name="layout">What a page holds.</param>
    /// <param name="pages">How many there are.</param>
    /// <param name="kvHeads">K.</param>
    /// <param name="headDim">H.</param>
    /// <param name="dtype">How a number is kept: f32, or bf16, to which new keys and values are rounded.</param>
    /// <exception cref="OutOfMemoryException">There is no memory for it; a card says so with an exception of its own.</exception>
    public KvPool(Device device, KvLayout layout, int pages, int kvHeads, int headDim, DType dtype = DType.F32)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(layout);
        ArgumentOutOfRangeException.ThrowIfLessThan(pages, 1);
        (Device, Layout, PageBytes) = (device, layout, BytesOf(layout, kvHeads, headDim, dtype));
        (_keys, _values) = (new DeviceBuffer[layout.LayersPerPage], new DeviceBuffer[layout.LayersPerPage]);
        _holders = new int[pages];
        _free = new int[pages];
        // Taken from the end: neighbours are taken one after the other, and what was given back last is the warmest.
        for (int i = 0; i < pages; i++) _free[i] = pages - 1 - i;
        _freeCount = pages;
        try
        {
            for (int place = 0; place < layout.LayersPerPage; place++)
            {
                var shape = new Shape(checked(pages * KvLayout.PageRows), kvHeads, headDim);
                _keys[place] = new DeviceBuffer(device, shape, dtype);
                _values[place] = new DeviceBuffer(device, shape, dtype);
            }
        }
        catch
        {
            Dispose(); // of the places there are
            throw;
        }
    }

    /// <summary>Where it lives.</summary>
    public Device Device { get; }

    /// <summary>What a page holds.</summary>
    public KvLayout Layout { get; }

    /// <summary>Memory of a page: keys and values of <see cref="KvLayout.PageRows"/> tokens of the layers that share it.</summary>
    public long PageBytes { get; }

    /// <summary>Pages in all.</summary>
    public int PageCount => _holders.Length;

    /// <summary>Pages that somebody holds.</summary>
    public int UsedPages => PageCount - _freeCount;

    /// <summary>Pages that nobody holds.</summary>
    public int FreePages => _freeCount;

    /// <summary>
    /// Called when every page is held and one more is needed: gives up something that is only kept for later, or says that there is nothing of the kind.
    /// </summary>
    public Func<bool>? GiveUp { get; set; }

    /// <summary>Memory of a page of a model with K = <paramref name="kvHeads"/> and H = <paramref name="headDim"/>.</summary>
    public static long BytesOf(KvLayout layout, int kvHeads, int headDim, DType dtype)
    {
        ArgumentNullException.ThrowIfNull(layout);
        return 2L * layout.LayersPerPage * KvLayout.PageRows * kvHeads * headDim * dtype.Size();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (DeviceBuffer? buffer in _keys) buffer?.Dispose();
        foreach (DeviceBuffer? buffer in _values) buffer?.Dispose();
    }

    /// <summary>[pages · 16, K, H] of the layers at a place.</summary>
    internal TensorView Keys(int place) => _keys[place].View;

    /// <summary>Like <see cref="Keys"/>.</summary>
    internal TensorView Values(int place) => _values[place].View;

    /// <summary>True when more than one holds the page: then nobody may write in it.</summary>
    internal bool IsShared(int page) => _holders[page] > 1;

    /// <summary>One more holds the page.</summary>
    internal void Share(int page) => _holders[page]++;

    /// <summary>
    /// A page to write in, for a holder of <paramref name="old"/> (or of none, −1): a free page with undefined contents, or the old one when what shared it has just been
    /// given up. −1 when there is none and nothing to give up.
    /// </summary>
    internal int TryTake(int old)
    {
        while (_freeCount == 0)
        {
            if (GiveUp is null || !GiveUp()) return -1;
            if (old >= 0 && !IsShared(old)) return old;
        }

        int page = _free[--_freeCount];
        _holders[page] = 1;
        return page;
    }

    /// <summary>One less holds the page; the last one frees it.</summary>
    internal void Release(int page)
    {
        if (--_holders[page] == 0) _free[_freeCount++] = page;
    }

    /// <summary>Copies the rows of a page, of all its layers.</summary>
    internal void CopyPage(int from, int to)
    {
        foreach (DeviceBuffer[] buffers in (ReadOnlySpan<DeviceBuffer[]>)[_keys, _values])
            foreach (DeviceBuffer buffer in buffers)
                Device.Copy(buffer.View.Slice(from * KvLayout.PageRows, KvLayout.PageRows), buffer.View.Slice(to * KvLayout.PageRows, KvLayout.PageRows));
    }

    /// <summary>Stores new rows of a layer.</summary>
    /// <param name="place">The layer's place.</param>
    /// <param name="keys">[rows, K, H], after RoPE.</param>
    /// <param name="values">[rows, K, H].</param>
    /// <param name="rows">[rows] i32: rows of the pool, as <see cref="KvCache.FillRows"/> gives them.</param>
    internal void Store(int place, TensorView keys, TensorView values, TensorView rows)
    {
        Scatter(keys, rows, _keys[place].View);
        Scatter(values, rows, _values[place].View);
    }

    private static void Scatter(TensorView source, TensorView rows, TensorView pool)
    {
        int width = pool.Shape[1] * pool.Shape[2];
        ScatterRows.Forward(source.Reshape(new Shape(source.Shape[0], width)), rows, pool.Reshape(new Shape(pool.Shape[0], width)), null);
    }
}
