namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>A tree of minima over the blocks of a precinct, written as far as needed (T.800, B.10.2).</summary>
internal sealed class TagTree
{
    // Level by level, the leaves first.
    private readonly int[] _values, _parents;
    private readonly bool[] _areKnown;

    public TagTree(int width, int height)
    {
        int total = 0;
        for ((int w, int h) = (width, height); ; (w, h) = ((w + 1) / 2, (h + 1) / 2))
        {
            total += w * h;
            if (w * h <= 1) break;
        }

        (_values, _parents, _areKnown) = (new int[total], new int[total], new bool[total]);
        int start = 0;
        for ((int w, int h) = (width, height); start < total; (w, h) = ((w + 1) / 2, (h + 1) / 2))
        {
            int above = start + w * h;
            for (int i = 0; i < w * h; i++) _parents[start + i] = above < total ? above + i / w / 2 * ((w + 1) / 2) + i % w / 2 : -1;
            start = above;
        }
    }

    /// <summary>Whether the value of a leaf is less than a threshold; reads what is needed to know.</summary>
    public bool IsBelow(ref PacketBits bits, int leaf, int threshold)
    {
        int parent = _parents[leaf];
        if (parent >= 0)
        {
            IsBelow(ref bits, parent, threshold);
            // A value is no smaller than what is known of the one above it.
            _values[leaf] = Math.Max(_values[leaf], _values[parent]);
        }

        while (!_areKnown[leaf] && _values[leaf] < threshold)
        {
            if (bits.Next() == 1) _areKnown[leaf] = true;
            else _values[leaf]++;
        }

        return _areKnown[leaf] && _values[leaf] < threshold;
    }

    /// <summary>The value of a leaf, which may be asked for once it is below a threshold.</summary>
    public int Value(int leaf) => _values[leaf];
}
