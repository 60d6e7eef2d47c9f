using System.Numerics;
using System.Runtime.CompilerServices;

namespace GemmaCore.Ops;

/// <summary>The argument z(x) of an activation x·σ(z(x)), and its slope dz/dx.</summary>
internal interface IActivationLanes
{
    static abstract Vector<float> Argument(Vector<float> x);

    static abstract Vector<float> ArgumentSlope(Vector<float> x);
}

// ½(1 + tanh u) = σ(2u), so z = 2u: the form without the cancellation of 1 + tanh for negative x.
internal readonly struct GeluTanhLanes : IActivationLanes
{
    private const float TwiceRootTwoOverPi = 1.5957691216057308f;
    private const float Cubic = 0.044715f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Argument(Vector<float> x) =>
        x * TwiceRootTwoOverPi * Vector.FusedMultiplyAdd(x * x, new Vector<float>(Cubic), Vector<float>.One);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> ArgumentSlope(Vector<float> x) =>
        TwiceRootTwoOverPi * Vector.FusedMultiplyAdd(x * x, new Vector<float>(3 * Cubic), Vector<float>.One);
}

internal readonly struct SiluLanes : IActivationLanes
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Argument(Vector<float> x) => x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> ArgumentSlope(Vector<float> x) => Vector<float>.One;
}

internal readonly struct QuickGeluLanes : IActivationLanes
{
    private const float Steepness = 1.702f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Argument(Vector<float> x) => x * Steepness;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> ArgumentSlope(Vector<float> x) => new(Steepness);
}

/// <summary>Activations and their slopes, a vector at a time; used by <see cref="Activate"/> and <see cref="Glu"/>.</summary>
internal static class ActivationLanes
{
    // exp stays a normal number within ±this; beyond it σ is 0 or 1 to within 2e-38.
    private const float ArgumentLimit = 87;

    /// <summary>x·σ(z(x)).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Value<TActivation>(Vector<float> x) where TActivation : struct, IActivationLanes =>
        x / (Vector<float>.One + ExpOfMinus(TActivation.Argument(x)));

    /// <summary>The same value, and its derivative σ + x·σ·(1 − σ)·z′ in <paramref name="slope"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Value<TActivation>(Vector<float> x, out Vector<float> slope) where TActivation : struct, IActivationLanes
    {
        Vector<float> e = ExpOfMinus(TActivation.Argument(x));
        Vector<float> sigma = Vector<float>.One / (Vector<float>.One + e);
        // 1 − σ = e·σ, without cancellation; e·σ first, because x·z′ may be large where it is tiny.
        slope = Vector.FusedMultiplyAdd(x * (e * sigma) * sigma, TActivation.ArgumentSlope(x), sigma);
        return x * sigma;
    }

    // e^-z with z held within the limit. NaN stays NaN.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> ExpOfMinus(Vector<float> z) =>
        Exp(Vector.Min(Vector.Max(-z, new Vector<float>(-ArgumentLimit)), new Vector<float>(ArgumentLimit)));

    // e^x = 2^n·e^r with n = round(x·log2 e) and |r| ≤ ½ ln 2; ln 2 in two parts so that r loses nothing (Cody and Waite, 1980).
    // The Taylor series to r^7 leaves 5e-9, a tenth of an ulp.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Exp(Vector<float> x)
    {
        const float log2E = 1.44269504f, ln2High = 0.693359375f, ln2Low = -2.12194440e-4f;
        // Adding 1.5·2^23 rounds to an integer and leaves it in the low bits.
        const float rounder = 12582912f;
        Vector<float> shifted = Vector.FusedMultiplyAdd(x, new Vector<float>(log2E), new Vector<float>(rounder));
        Vector<float> n = shifted - new Vector<float>(rounder);
        Vector<float> r = Vector.FusedMultiplyAdd(n, new Vector<float>(-ln2High), x);
        r = Vector.FusedMultiplyAdd(n, new Vector<float>(-ln2Low), r);
        Vector<float> p = new(1f / 5040);
        p = Vector.FusedMultiplyAdd(p, r, new Vector<float>(1f / 720));
        p = Vector.FusedMultiplyAdd(p, r, new Vector<float>(1f / 120));
        p = Vector.FusedMultiplyAdd(p, r, new Vector<float>(1f / 24));
        p = Vector.FusedMultiplyAdd(p, r, new Vector<float>(1f / 6));
        p = Vector.FusedMultiplyAdd(p, r, new Vector<float>(0.5f));
        p = Vector.FusedMultiplyAdd(p, r, Vector<float>.One);
        p = Vector.FusedMultiplyAdd(p, r, Vector<float>.One);
        // n moved into the exponent field; the bits of the rounder fall off the top.
        Vector<int> scale = (Vector.AsVectorInt32(shifted) << 23) + new Vector<int>(127 << 23);
        return p * Vector.AsVectorSingle(scale);
    }
}
