using System.Runtime.CompilerServices;

namespace GemmaCore.Ops;

/// <summary>
/// Inverted dropout (JMLR 15, 2014): an element is zeroed with probability p and otherwise divided by 1 − p, so that expectations stay.
/// Counter-based: the decision on an element is a hash of (seed, id, index), the same in any order and on any thread.
/// </summary>
internal readonly struct Dropout
{
    private readonly ulong _key;
    private readonly ulong _threshold;

    public Dropout(float probability, ulong seed, int id)
    {
        _key = Mix(seed + (0x9E3779B97F4A7C15 * ((uint)id + 1UL)));
        _threshold = (ulong)(probability * 4294967296.0);
        KeptScale = 1 / (1 - probability);
    }

    /// <summary>False for <c>default</c> and for probability zero: nothing is dropped or scaled.</summary>
    public bool IsActive => _threshold != 0;

    /// <summary>1 / (1 − p).</summary>
    public float KeptScale { get; }

    /// <summary>What the element at <paramref name="index"/> is multiplied by: 0 or <see cref="KeptScale"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float Factor(long index) => Mix(_key + (ulong)index * 0x9E3779B97F4A7C15) >> 32 < _threshold ? 0 : KeptScale;

    // The finaliser of SplitMix64 (Steele et al., OOPSLA 2014).
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
