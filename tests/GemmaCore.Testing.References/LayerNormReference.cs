using System.Numerics;

namespace GemmaCore.Testing.References;

/// <summary>y = (x − mean) / sqrt(var + eps) · w + b with the biased variance, one row after the other (arXiv:1607.06450).</summary>
public static class LayerNormReference
{
    public static T[] Forward<T, F>(T[] x, double[] w, double[] b, double eps)
        where T : struct, INumberBase<T> where F : IFunctions<T>
    {
        int columns = w.Length;
        var y = new T[x.Length];
        for (int first = 0; first < x.Length; first += columns)
        {
            T mean = T.Zero, variance = T.Zero;
            for (int i = 0; i < columns; i++) mean += x[first + i] / F.Of(columns);
            for (int i = 0; i < columns; i++) variance += (x[first + i] - mean) * (x[first + i] - mean) / F.Of(columns);
            T root = F.Sqrt(variance + F.Of(eps));
            for (int i = 0; i < columns; i++) y[first + i] = (x[first + i] - mean) / root * F.Of(w[i]) + F.Of(b[i]);
        }

        return y;
    }
}
