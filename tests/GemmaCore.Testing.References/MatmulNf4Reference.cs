namespace GemmaCore.Testing.References;

/// <summary>NF4 from its definition: the sixteen quantiles of arXiv:2305.14314, appendix E, times the block's magnitude, in fp64.</summary>
public static class MatmulNf4Reference
{
    private static readonly double[] Quantiles =
    [
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
        0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ];

    /// <summary>The matrix that codes and magnitudes stand for.</summary>
    /// <param name="codes">Two a byte, the first in the upper half.</param>
    /// <param name="absmax">Of every 64 elements.</param>
    /// <param name="count">Elements.</param>
    public static double[] Matrix(byte[] codes, float[] absmax, int count) =>
        [.. Enumerable.Range(0, count).Select(i => Quantiles[(codes[i / 2] >> (i % 2 == 0 ? 4 : 0)) & 15] * absmax[i / 64])];

    /// <summary>Magnitudes from their own codes.</summary>
    public static float[] Absmax(byte[] codes, float[] scales, IReadOnlyList<float> table, float offset) =>
        [.. codes.Select((code, i) => (float)((double)table[code] * scales[i / 256] + offset))];
}
