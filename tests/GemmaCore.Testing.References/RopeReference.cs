using System.Numerics;

namespace GemmaCore.Testing.References;

/// <summary>Element j of a head and element j + H/2 as the two coordinates of a point, turned by the token's angle j (arXiv:2104.09864).</summary>
public static class RopeReference
{
    public static T[] Forward<T, F>(T[] x, double[] angles, int heads, int headSize)
        where T : struct, INumberBase<T> where F : IFunctions<T>
    {
        int half = headSize / 2;
        var y = new T[x.Length];
        for (int head = 0; head < x.Length / headSize; head++)
            for (int j = 0; j < half; j++)
            {
                (double sin, double cos) = Math.SinCos(angles[head / heads * half + j]);
                T low = x[head * headSize + j], high = x[head * headSize + half + j];
                y[head * headSize + j] = low * F.Of(cos) - high * F.Of(sin);
                y[head * headSize + half + j] = high * F.Of(cos) + low * F.Of(sin);
            }

        return y;
    }

    /// <summary>[T, H/2] angles; the product is rounded to fp32, as the models were trained.</summary>
    public static double[] Angles(int[] positions, float[] inverseFrequencies) =>
        [.. positions.SelectMany(position => inverseFrequencies.Select(frequency => (double)(position * frequency)))];
}
