using System.Numerics;

namespace GemmaCore.Testing.References;

/// <summary>y = x + n, element by element.</summary>
public static class AddReference
{
    public static T[] Forward<T>(T[] x, T[] n) where T : struct, INumberBase<T> => [.. x.Zip(n, (a, b) => a + b)];
}
