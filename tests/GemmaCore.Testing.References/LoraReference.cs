using System.Numerics;

namespace GemmaCore.Testing.References;

/// <summary>y + scale·((factors⊙x)·aᵀ)·bᵀ with a [rank, inputs] and b [outputs, rank], straight from the formula.</summary>
public static class LoraReference
{
    public static T[] Forward<T, F>(T[] x, T[] a, T[] b, double[] y, double[] factors, double scale, int inputs)
        where T : struct, INumberBase<T> where F : IFunctions<T>
    {
        int rank = a.Length / inputs, outputs = b.Length / rank, rows = x.Length / inputs;
        var result = new T[rows * outputs];
        for (int row = 0; row < rows; row++)
            for (int output = 0; output < outputs; output++)
            {
                T sum = T.Zero;
                for (int r = 0; r < rank; r++)
                {
                    T inner = T.Zero;
                    for (int i = 0; i < inputs; i++) inner += x[row * inputs + i] * F.Of(factors[row * inputs + i]) * a[r * inputs + i];
                    sum += inner * b[output * rank + r];
                }

                result[row * outputs + output] = F.Of(y[row * outputs + output]) + F.Of(scale) * sum;
            }

        return result;
    }
}
