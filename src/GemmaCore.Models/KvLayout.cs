using GemmaCore.Ops;

namespace GemmaCore.Models;

/// <summary>
/// How the layers of a model share pages of keys and values. A page is <see cref="PageRows"/> tokens of some layers that see the same window; layers with other
/// windows have pages of their own, of the same size, so that one pool serves them all (as vLLM's hybrid cache manager does it).
/// </summary>
public sealed class KvLayout
{
    /// <summary>Tokens of a page.</summary>
    public const int PageRows = AttentionSequence.PageRows;

    // A place of a page that no layer has costs memory, a group more costs a table: up to this share of the places may be empty.
    private const double MostEmpty = 0.125;

    private readonly int[] _groupOf, _placeOf, _windows;

    /// <summary>Groups the layers.</summary>
    /// <param name="windows">Per layer: tokens a query sees (the sliding window), or 0 for all.</param>
    public KvLayout(IReadOnlyList<int> windows)
    {
        ArgumentNullException.ThrowIfNull(windows);
        ArgumentOutOfRangeException.ThrowIfZero(windows.Count, nameof(windows));
        int[] kinds = [.. windows.Distinct()], sizes = [.. kinds.Select(kind => windows.Count(window => window == kind))];
        LayersPerPage = sizes.Min();
        while (LayersPerPage > 1 && sizes.Sum(size => Ceiling(size, LayersPerPage) * LayersPerPage) > windows.Count / (1 - MostEmpty)) LayersPerPage--;
        (_groupOf, _placeOf) = (new int[windows.Count], new int[windows.Count]);
        var groups = new List<int>();
        foreach (int kind in kinds)
        {
            int seen = 0;
            for (int layer = 0; layer < windows.Count; layer++)
            {
                if (windows[layer] != kind) continue;
                if (seen % LayersPerPage == 0) groups.Add(kind);
                (_groupOf[layer], _placeOf[layer]) = (groups.Count - 1, seen++ % LayersPerPage);
            }
        }

        _windows = [.. groups];
    }

    /// <summary>Layers whose tokens lie in one page.</summary>
    public int LayersPerPage { get; }

    /// <summary>Groups of layers; each has pages of its own.</summary>
    public int GroupCount => _windows.Length;

    /// <summary>The group of a layer.</summary>
    public int GroupOf(int layer) => _groupOf[layer];

    /// <summary>A layer's place in the pages of its group.</summary>
    public int PlaceOf(int layer) => _placeOf[layer];

    /// <summary>Tokens a query of a group's layers sees, or 0 for all.</summary>
    public int Window(int group) => _windows[group];

    /// <summary>Past tokens that a query of a group's layers sees, of <paramref name="length"/> there are.</summary>
    public int Visible(int group, int length) => _windows[group] == 0 ? length : Math.Min(length, _windows[group] - 1);

    /// <summary>
    /// Pages of a group for a sequence of up to <paramref name="capacity"/> tokens. With a window they are a ring: what a query sees behind itself may begin
    /// inside a page, so there is one more than its tokens fill.
    /// </summary>
    public int PagesOf(int group, int capacity)
    {
        int all = Ceiling(capacity, PageRows);
        return _windows[group] == 0 ? all : Math.Min(all, Ceiling(_windows[group] - 1, PageRows) + 1);
    }

    /// <summary>Pages of all groups for a sequence of up to <paramref name="capacity"/> tokens.</summary>
    public int PagesOf(int capacity)
    {
        int pages = 0;
        for (int group = 0; group < GroupCount; group++) pages = checked(pages + PagesOf(group, capacity));
        return pages;
    }

    private static int Ceiling(int count, int size) => (count + size - 1) / size;
}
