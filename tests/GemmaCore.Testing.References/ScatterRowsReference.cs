using System.Numerics;

namespace GemmaCore.Testing.References;

/// <summary>A copy of y in which row rows[i] is source[i].</summary>
public static class ScatterRowsReference
{
    public static T[] Forward<T>(T[] source, int[] rows, T[] y, int columns) where T : struct, INumberBase<T>
    {
        T[] result = [.. y];
        for (int i = 0; i < rows.Length; i++)
            for (int column = 0; column < columns; column++) result[rows[i] * columns + column] = source[i * columns + column];
        return result;
    }
}
