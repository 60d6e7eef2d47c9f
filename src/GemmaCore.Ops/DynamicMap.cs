using System.Collections.Immutable;

namespace GemmaCore.Ops;

/// <summary>
/// The 8-bit floating point of bitsandbytes ("dynamic tree quantisation", arXiv:2110.02861 §1.3): 256 values between −1 or 0 and 1, ascending, seven decades of
/// them, each cut into twice as many steps as the one below it; a code is the place of its value.
/// </summary>
public static class DynamicMap
{
    /// <summary>Codes of the format.</summary>
    public const int Count = 256;

    private const int Decades = 7;

    /// <summary>For values of either sign; 1 has a code, −1 has not.</summary>
    public static ImmutableArray<float> Signed { get; } = Create(signed: true);

    /// <summary>For values that are never negative: twice as many steps a decade.</summary>
    public static ImmutableArray<float> Unsigned { get; } = Create(signed: false);

    // Decade i is cut into 2^i steps (2^(i+1) without a sign), whose middles are the values; below all of them zero, above all of them one.
    private static ImmutableArray<float> Create(bool signed)
    {
        var values = new List<float> { 0, 1 };
        for (int i = 0; i < Decades; i++)
        {
            int steps = 1 << (signed ? i : i + 1);
            float step = (1f - 0.1f) / steps;
            // From both ends and rounded once, as torch's linspace has it.
            float Boundary(int k) => k < (steps + 1) / 2 ? MathF.FusedMultiplyAdd(step, k, 0.1f) : MathF.FusedMultiplyAdd(-step, steps - k, 1);
            float decade = (float)Math.Pow(10, i - Decades + 1);
            for (int k = 0; k < steps; k++)
            {
                float middle = (Boundary(k) + Boundary(k + 1)) / 2 * decade;
                values.Add(middle);
                if (signed) values.Add(-middle);
            }
        }

        values.Sort();
        return [.. values];
    }
}
