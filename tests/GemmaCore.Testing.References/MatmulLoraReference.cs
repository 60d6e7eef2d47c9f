using System.Numerics;

namespace GemmaCore.Testing.References;

/// <summary>x·wᵀ + b + scale·((factors⊙x)·aᵀ)·bᵀ: the sum of the two operations it is made of.</summary>
public static class MatmulLoraReference
{
    public static T[] Forward<T, F>(T[] x, double[] w, double[] bias, T[] a, T[] b, double[] factors, double scale, int inputs)
        where T : struct, INumberBase<T> where F : IFunctions<T>
    {
        T[] product = MatmulReference.Forward<T, F>(x, w, bias, inputs);
        T[] branch = LoraReference.Forward<T, F>(x, a, b, new double[product.Length], factors, scale, inputs);
        return [.. product.Zip(branch, (left, right) => left + right)];
    }
}
