using System.Numerics;

namespace GemmaCore.Testing.References;

/// <summary>y = x · rsqrt(mean(x²) + eps) · (offset + w), one row after the other (arXiv:1910.07467).</summary>
public static class RmsNormReference
{
    public static T[] Forward<T, F>(T[] x, double[] w, double eps, double gainOffset)
        where T : struct, INumberBase<T> where F : IFunctions<T>
    {
        int columns = w.Length;
        var y = new T[x.Length];
        for (int row = 0; row < x.Length / columns; row++)
        {
            T sum = T.Zero;
            for (int i = 0; i < columns; i++) sum += x[row * columns + i] * x[row * columns + i];
            T root = F.Sqrt(sum / F.Of(columns) + F.Of(eps));
            for (int i = 0; i < columns; i++) y[row * columns + i] = x[row * columns + i] / root * F.Of(gainOffset + w[i]);
        }

        return y;
    }
}
