namespace GemmaCore.Inputs;

/// <summary>
/// Byte-pair merging of one run of symbols: always the pair of lowest rank, the leftmost on ties. A linked list and a heap,
/// so the cost is n·log n however long the run is (words are not split before merging in SentencePiece vocabularies).
/// </summary>
internal sealed class BytePairMerger(MergeTable merges)
{
    private int[] _next = [];
    private int[] _previous = [];
    private (ulong Order, int Merged)[] _heap = [];
    private int _heapCount;

    /// <summary>Merges <paramref name="symbols"/> in place; the survivors stand at the front. Returns how many they are.</summary>
    public int Merge(Span<int> symbols)
    {
        if (symbols.Length < 2) return symbols.Length;
        if (_next.Length < symbols.Length) Grow(symbols.Length);
        for (int i = 0; i < symbols.Length; i++) (_previous[i], _next[i]) = (i - 1, i + 1);
        _next[symbols.Length - 1] = -1;
        _heapCount = 0;
        for (int i = 0; i + 1 < symbols.Length; i++) Propose(symbols, i);

        while (_heapCount > 0)
        {
            (ulong order, int merged) = Pop();
            int left = (int)(uint)order;
            int right = symbols[left] < 0 ? -1 : _next[left];
            // A proposal is stale once either side has merged with another neighbour; a longer pair cannot give the same token.
            if (right < 0 || !merges.TryGet(symbols[left], symbols[right], out _, out int current) || current != merged) continue;
            symbols[left] = merged;
            symbols[right] = -1;
            _next[left] = _next[right];
            if (_next[right] >= 0) _previous[_next[right]] = left;
            if (_previous[left] >= 0) Propose(symbols, _previous[left]);
            Propose(symbols, left);
        }

        int count = 0;
        for (int i = 0; i >= 0; i = _next[i]) symbols[count++] = symbols[i];
        return count;
    }

    private void Propose(Span<int> symbols, int left)
    {
        int right = _next[left];
        if (right >= 0 && merges.TryGet(symbols[left], symbols[right], out int rank, out int merged))
            Push((((ulong)(uint)rank << 32) | (uint)left, merged));
    }

    private void Push((ulong Order, int Merged) proposal)
    {
        int at = _heapCount++;
        while (at > 0 && _heap[(at - 1) / 2].Order > proposal.Order)
        {
            _heap[at] = _heap[(at - 1) / 2];
            at = (at - 1) / 2;
        }
        _heap[at] = proposal;
    }

    private (ulong Order, int Merged) Pop()
    {
        var top = _heap[0];
        var last = _heap[--_heapCount];
        int at = 0;
        for (int child = 1; child < _heapCount; child = 2 * at + 1)
        {
            if (child + 1 < _heapCount && _heap[child + 1].Order < _heap[child].Order) child++;
            if (_heap[child].Order >= last.Order) break;
            _heap[at] = _heap[child];
            at = child;
        }
        _heap[at] = last;
        return top;
    }

    // Every merge takes one symbol away and proposes at most two pairs: 3n proposals bound the heap.
    private void Grow(int symbolCount)
    {
        int room = Math.Max(256, symbolCount + symbolCount / 2);
        _next = new int[room];
        _previous = new int[room];
        _heap = new (ulong, int)[3 * room];
    }
}
