using System.Numerics;
using System.Runtime.CompilerServices;

namespace GemmaCore.Ops;

/// <summary>
/// Inverted dropout (JMLR 15, 2014): an element is zeroed with probability p and otherwise divided by 1 − p, so that expectations stay.
/// Counter-based: the decision on an element is a hash of (seed, id, index), the same in any order and on any thread. The mask repeats
/// after 2^32 elements.
/// </summary>
internal readonly struct Dropout
{
    // Multiplier of the golden ratio, and those of MurmurHash3's 32-bit finaliser, between whose rounds the second key enters.
    private const uint Odd = 0x9E3779B1, First = 0x85EBCA6B, Second = 0xC2B2AE35;

    private readonly uint _key0, _key1, _threshold;

    /// <param name="probability">p.</param>
    /// <param name="seed">Seed of the micro-batch.</param>
    /// <param name="id">Whose mask it is.</param>
    /// <param name="first">Index of the element that is 0 here, in the mask of the whole micro-batch.</param>
    public Dropout(float probability, ulong seed, int id, long first = 0)
    {
        ulong key = Mix(Mix(seed) + (0x9E3779B97F4A7C15 * ((uint)id + 1UL)));
        // The hash begins with index · Odd + key0, so a shift of the index is one of the key.
        (_key0, _key1) = (unchecked((uint)key + (uint)first * Odd), (uint)(key >> 32));
        _threshold = (uint)(probability * 4294967296.0);
        KeptScale = 1 / (1 - probability);
    }

    /// <summary>False for <c>default</c> and for probability zero: nothing is dropped or scaled.</summary>
    public bool IsActive => _threshold != 0;

    /// <summary>What the hash of an element is made of and compared with, for the same decision on another device.</summary>
    public (int Key0, int Key1, int Threshold) Bits => ((int)_key0, (int)_key1, (int)_threshold);

    /// <summary>1 / (1 − p).</summary>
    public float KeptScale { get; }

    /// <summary>What the element at <paramref name="index"/> is multiplied by: 0 or <see cref="KeptScale"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Factor(long index)
    {
        uint h = (uint)index * Odd + _key0;
        h = (h ^ (h >> 16)) * First ^ _key1;
        h = (h ^ (h >> 13)) * Second;
        return (h ^ (h >> 16)) < _threshold ? 0 : KeptScale;
    }

    /// <summary>The factors of the elements from <paramref name="index"/> on, one a lane: the same values as <see cref="Factor"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector<float> Factors(long index)
    {
        Vector<uint> h = (new Vector<uint>((uint)index) + Vector<uint>.Indices) * Odd + new Vector<uint>(_key0);
        h = (h ^ (h >> 16)) * First ^ new Vector<uint>(_key1);
        h = (h ^ (h >> 13)) * Second;
        Vector<uint> dropped = Vector.LessThan(h ^ (h >> 16), new Vector<uint>(_threshold));
        return Vector.AndNot(new Vector<float>(KeptScale), Vector.AsVectorSingle(dropped));
    }

    // The finaliser of SplitMix64 (Steele et al., OOPSLA 2014), to spread seed and id over the keys.
    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
