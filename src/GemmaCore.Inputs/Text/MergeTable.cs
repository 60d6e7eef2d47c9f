using System.Numerics;

namespace GemmaCore.Inputs;

/// <summary>Which pairs of neighbouring tokens may join, in what order of preference, and into what. An open-addressing hash table.</summary>
internal sealed class MergeTable
{
    private const ulong Empty = ulong.MaxValue;

    private readonly ulong[] _pairs;
    private readonly (int Rank, int Merged)[] _merges;
    private readonly int _shift;

    /// <summary>A table with room for <paramref name="capacity"/> pairs.</summary>
    public MergeTable(int capacity)
    {
        int slots = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(16, capacity * 2));
        _pairs = new ulong[slots];
        _pairs.AsSpan().Fill(Empty);
        _merges = new (int, int)[slots];
        _shift = 64 - BitOperations.Log2((uint)slots);
    }

    /// <summary>Adds a pair; the first rank given to a pair stays.</summary>
    public void Add(int left, int right, int rank, int merged)
    {
        ulong pair = Pair(left, right);
        int slot = SlotOf(pair);
        if (_pairs[slot] == pair) return;
        _pairs[slot] = pair;
        _merges[slot] = (rank, merged);
    }

    /// <summary>The merge of two neighbours; false when they never join.</summary>
    public bool TryGet(int left, int right, out int rank, out int merged)
    {
        ulong pair = Pair(left, right);
        int slot = SlotOf(pair);
        (rank, merged) = _merges[slot];
        return _pairs[slot] == pair;
    }

    private static ulong Pair(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    // Fibonacci hashing: the high bits of the product depend on every bit of the pair.
    private int SlotOf(ulong pair)
    {
        int slot = (int)((pair * 0x9E3779B97F4A7C15UL) >> _shift);
        while (_pairs[slot] != pair && _pairs[slot] != Empty) slot = (slot + 1) & (_pairs.Length - 1);
        return slot;
    }
}
