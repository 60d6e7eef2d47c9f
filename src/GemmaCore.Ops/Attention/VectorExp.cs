using System.Runtime.CompilerServices;

namespace GemmaCore.Ops;

/// <summary>
/// eˣ for x ≤ 88 to about 1 ulp: x = n·ln 2 + f with |f| ≤ ln 2 / 2, Taylor series of degree 7 in f (remainder below 6e-9), times 2ⁿ.
/// Zero below −87.3, where the result would leave the normal numbers; NaN stays NaN.
/// </summary>
internal static class VectorExp<TLanes, TVector> where TLanes : struct, IVectors<TVector> where TVector : struct
{
    private const float Lowest = -87.3f;
    private const float Log2E = 1.44269504f;

    // ln 2 in two parts: n times the first is exact for every |n| < 2^9, so that the reduction loses nothing.
    private const float Ln2High = 0.693359375f, Ln2Low = -2.12194440e-4f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Of(TVector x)
    {
        TVector lowest = TLanes.All(Lowest);
        TVector clamped = TLanes.Max(lowest, x);
        TVector n = TLanes.Round(TLanes.Multiply(clamped, TLanes.All(Log2E)));
        TVector f = TLanes.MultiplyAdd(n, TLanes.All(-Ln2High), clamped);
        f = TLanes.MultiplyAdd(n, TLanes.All(-Ln2Low), f);
        TVector p = TLanes.MultiplyAdd(TLanes.All(1f / 5040), f, TLanes.All(1f / 720));
        p = TLanes.MultiplyAdd(p, f, TLanes.All(1f / 120));
        p = TLanes.MultiplyAdd(p, f, TLanes.All(1f / 24));
        p = TLanes.MultiplyAdd(p, f, TLanes.All(1f / 6));
        p = TLanes.MultiplyAdd(p, f, TLanes.All(0.5f));
        p = TLanes.MultiplyAdd(p, f, TLanes.All(1f));
        p = TLanes.MultiplyAdd(p, f, TLanes.All(1f));
        return TLanes.ZeroWhereBelow(x, lowest, TLanes.ScaleByPowerOfTwo(p, n));
    }
}
