using System.Numerics;

namespace GemmaCore.Testing.References;

/// <summary>y[i] = x[rows[i]].</summary>
public static class GatherRowsReference
{
    public static T[] Forward<T>(T[] x, int[] rows, int columns) where T : struct, INumberBase<T> =>
        [.. rows.SelectMany(row => x.Skip(row * columns).Take(columns))];
}
