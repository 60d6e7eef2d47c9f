using System.Numerics;

namespace GemmaCore.Testing.References;

/// <summary>Every head normalised, then turned by its token's angles.</summary>
public static class RmsNormRopeReference
{
    public static T[] Forward<T, F>(T[] x, double[] w, double eps, double gainOffset, double[] angles, int heads)
        where T : struct, INumberBase<T> where F : IFunctions<T> =>
        RopeReference.Forward<T, F>(RmsNormReference.Forward<T, F>(x, w, eps, gainOffset), angles, heads, w.Length);
}
