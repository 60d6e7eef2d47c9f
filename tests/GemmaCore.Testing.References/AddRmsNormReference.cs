using System.Numerics;

namespace GemmaCore.Testing.References;

/// <summary>sum = x + r, and the sum normalised; one row after the other.</summary>
public static class AddRmsNormReference
{
    public static (T[] Sum, T[] Y) Forward<T, F>(T[] x, T[] r, double[] w, double eps, double gainOffset)
        where T : struct, INumberBase<T> where F : IFunctions<T>
    {
        T[] sum = AddReference.Forward(x, r);
        return (sum, RmsNormReference.Forward<T, F>(sum, w, eps, gainOffset));
    }
}
