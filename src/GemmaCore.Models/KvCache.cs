using System.Runtime.InteropServices;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>
/// Keys and values of one sequence: for each group of layers a table of pages of a <see cref="KvPool"/>. Layers with a sliding window keep only their window, in a
/// ring: page p of the sequence stands in entry p mod (number of entries).
/// </summary>
/// <remarks>
/// A page that others hold too is never written: before a pass that would, a copy takes its place. So a sequence never holds more pages than its table has entries,
/// and a pool that has as many for everybody under way never runs out.
/// </remarks>
public sealed class KvCache : IDisposable
{
    private const int None = -1;

    private readonly KvPool _pool;
    private readonly KvLayout _layout;
    private readonly bool _ownsPool;
    private readonly int[][] _pages; // per group
    private readonly DeviceBuffer _table;
    private readonly int[] _upload;
    private readonly int _entries; // of a group in the table
    private bool _changed = true;

    /// <summary>An empty cache in a pool.</summary>
    /// <param name="pool">Whose pages it takes, as its sequence grows; must outlive it.</param>
    /// <param name="capacity">Most tokens the sequence will have.</param>
    /// <exception cref="OutOfMemoryException">There is no memory for its tables; a card says so with an exception of its own.</exception>
    public KvCache(KvPool pool, int capacity)
        : this(pool, capacity, ownsPool: false)
    {
    }

    internal KvCache(KvPool pool, int capacity, bool ownsPool)
    {
        ArgumentNullException.ThrowIfNull(pool);
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        (_pool, _layout, _ownsPool, Capacity) = (pool, pool.Layout, ownsPool, capacity);
        _pages = new int[_layout.GroupCount][];
        for (int group = 0; group < _pages.Length; group++)
        {
            _pages[group] = new int[_layout.PagesOf(group, capacity)];
            Array.Fill(_pages[group], None);
            _entries = Math.Max(_entries, _pages[group].Length);
        }

        _upload = new int[_pages.Length * _entries];
        _table = new DeviceBuffer(pool.Device, new Shape(_pages.Length, _entries), DType.I32);
    }

    /// <summary>Most tokens the sequence can have.</summary>
    public int Capacity { get; }

    /// <summary>Tokens seen so far; also the position of the next one.</summary>
    public int Length { get; private set; }

    /// <summary>Whose pages it takes.</summary>
    internal KvPool Pool => _pool;

    /// <summary>Pages it holds.</summary>
    public int PageCount { get; private set; }

    /// <summary>Pages that <see cref="Prepare"/> would take from the pool for this many tokens.</summary>
    public int PagesFor(int tokens)
    {
        int count = 0;
        for (int group = 0; group < _pages.Length; group++)
        {
            int first = FirstWritten(group, tokens) / KvLayout.PageRows, last = Math.Min((Length + tokens - 1) / KvLayout.PageRows, first + _pages[group].Length - 1);
            for (int page = first; page <= last; page++) count += NeedsPage(group, page % _pages[group].Length) ? 1 : 0;
        }

        return count;
    }

    /// <summary>Makes room for the next tokens, before the pass in which they come.</summary>
    /// <exception cref="ArgumentException">The sequence would have more tokens than its capacity.</exception>
    /// <exception cref="InvalidOperationException">The pool has no page left.</exception>
    public void Prepare(int tokens)
    {
        if (tokens < 0 || tokens > Capacity - Length) throw new ArgumentException($"{tokens} tokens do not go behind {Length} of at most {Capacity}", nameof(tokens));
        for (int group = 0; group < _pages.Length; group++)
            for (int page = FirstWritten(group, tokens) / KvLayout.PageRows; page * KvLayout.PageRows < Length + tokens; page++) PreparePage(group, page);
        UploadTable();
    }

    /// <summary>Declares tokens whose keys and values every layer has stored.</summary>
    public void Advance(int tokens) => Length += tokens;

    /// <summary>What attention of one layer reads: the packed rows of this sequence and its stored past.</summary>
    public AttentionSequence Past(int layer, int firstRow, int rowCount)
    {
        int group = _layout.GroupOf(layer), place = _layout.PlaceOf(layer), kept = _layout.Visible(group, Length);
        TensorView pages = new(_table.View.Pointer + ((nint)group * _entries * sizeof(int)), new Shape(_pages[group].Length), DType.I32, _table.View.Device);
        return new AttentionSequence(firstRow, rowCount, _pool.Keys(place), _pool.Values(place), Length - kept, kept, pages);
    }

    /// <summary>
    /// Rows of the pool for the next <paramref name="rows"/>.Length tokens in a group of layers: data and not addresses, so that a decoding step is the same work every
    /// time. Of more tokens than the layers keep, the first are not stored and have row −1.
    /// </summary>
    public void FillRows(int group, Span<int> rows)
    {
        int[] pages = _pages[group];
        int first = FirstWritten(group, rows.Length);
        for (int i = 0; i < rows.Length; i++)
        {
            int slot = Length + i;
            rows[i] = slot < first ? None : (pages[slot / KvLayout.PageRows % pages.Length] * KvLayout.PageRows) + (slot % KvLayout.PageRows);
        }
    }

    /// <summary>Tokens that a layer stores of the next <paramref name="tokens"/>: of more than its ring holds, only the last.</summary>
    internal int StoredOf(int layer, int tokens) => Length + tokens - FirstWritten(_layout.GroupOf(layer), tokens);

    /// <summary>Holds the tokens from <paramref name="start"/> to the end for other sequences that begin with the same ones. Nothing is copied.</summary>
    public KvSegment Keep(int start)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)start, (uint)Length, nameof(start));
        int[][] kept = new int[_pages.Length][];
        for (int group = 0; group < kept.Length; group++)
        {
            int first = KvSegment.FirstPage(_layout, group, start, Length), count = Math.Max(0, ((Length - 1) / KvLayout.PageRows) - first + 1);
            kept[group] = new int[count];
            for (int i = 0; i < count; i++) kept[group][i] = _pages[group][(first + i) % _pages[group].Length];
        }

        return new KvSegment(_pool, start, Length, kept);
    }

    /// <summary>Takes over the tokens of a segment of the same pool that begins where this sequence ends. Nothing is copied.</summary>
    /// <exception cref="ArgumentException">It begins elsewhere, is of another pool, or there is no room for it.</exception>
    public void Append(KvSegment segment)
    {
        ArgumentNullException.ThrowIfNull(segment);
        if (segment.Pool != _pool || segment.Start != Length || segment.End > Capacity)
            throw new ArgumentException($"a segment of tokens {segment.Start} to {segment.End} does not go behind {Length} of at most {Capacity}", nameof(segment));
        for (int group = 0; group < _pages.Length; group++)
        {
            // Its first page holds the end of what was in front of it as well: whoever computed the segment had that in the same page.
            int page = KvSegment.FirstPage(_layout, group, segment.Start, segment.End);
            foreach (int shared in segment.Pages(group))
            {
                int entry = page++ % _pages[group].Length;
                _pool.Share(shared);
                Put(group, entry, shared);
            }
        }

        Length = segment.End;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        for (int group = 0; group < _pages.Length; group++)
            for (int entry = 0; entry < _pages[group].Length; entry++) Put(group, entry, None);
        _table.Dispose();
        if (_ownsPool) _pool.Dispose();
    }

    // First slot that the layers of a group store of the next tokens.
    private int FirstWritten(int group, int tokens) => Math.Max(Length, Length + tokens - (_pages[group].Length * KvLayout.PageRows));

    // A page of one's own where the next tokens are written.
    private void PreparePage(int group, int page)
    {
        int entry = page % _pages[group].Length, old = _pages[group][entry];
        if (!NeedsPage(group, entry)) return;
        int taken = _pool.TryTake(old);
        if (taken == None) throw new InvalidOperationException($"all {_pool.PageCount} pages of keys and values are held");
        if (taken == old) return;
        // In a ring the pass may still see what it is about to overwrite.
        if (old != None) _pool.CopyPage(old, taken);
        Put(group, entry, taken);
    }

    private bool NeedsPage(int group, int entry) => _pages[group][entry] is var page && (page == None || _pool.IsShared(page));

    // The entry of the table, with the hold that comes with the page.
    private void Put(int group, int entry, int page)
    {
        int old = _pages[group][entry];
        if (old == page) return;
        if (old != None) _pool.Release(old);
        PageCount += (page == None ? 0 : 1) - (old == None ? 0 : 1);
        _pages[group][entry] = page;
        _upload[(group * _entries) + entry] = page;
        _changed = true;
    }

    private void UploadTable()
    {
        if (!_changed) return;
        _table.View.Device.CopyFromHost(MemoryMarshal.AsBytes(_upload.AsSpan()), _table.View);
        _changed = false;
    }
}
