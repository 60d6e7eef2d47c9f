namespace GemmaCore.Models;

/// <summary>
/// A hold on the pages with some tokens in a row of a sequence (<see cref="KvCache.Keep"/>), for other sequences that begin with the same tokens. Of a layer with a
/// sliding window it holds what a later token can still see.
/// </summary>
public sealed class KvSegment : IDisposable
{
    private readonly KvPool _pool;
    private readonly int[][] _pages;
    private bool _disposed;

    internal KvSegment(KvPool pool, int start, int end, int[][] pages)
    {
        (_pool, Start, End, _pages) = (pool, start, end, pages);
        foreach (int[] group in pages)
            foreach (int page in group) pool.Share(page);
    }

    /// <summary>Slot of its first token.</summary>
    public int Start { get; }

    /// <summary>Slot after its last token.</summary>
    public int End { get; }

    /// <summary>Memory of the pages it holds, others who hold them left out of account.</summary>
    public long Bytes => _pages.Sum(static group => (long)group.Length) * _pool.PageBytes;

    /// <summary>Whose pages they are.</summary>
    internal KvPool Pool => _pool;

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        foreach (int[] group in _pages)
            foreach (int page in group) _pool.Release(page);
    }

    /// <summary>First page of a group, counted from the sequence's first token, of [<paramref name="start"/>, <paramref name="end"/>).</summary>
    internal static int FirstPage(KvLayout layout, int group, int start, int end) => Math.Max(start, end - layout.Visible(group, end)) / KvLayout.PageRows;

    /// <summary>The pages of a group, in order; the last one has slot <see cref="End"/> − 1.</summary>
    internal ReadOnlySpan<int> Pages(int group) => _pages[group];
}
