namespace GemmaCore.Testing.References;

/// <summary>y[t] = scale · table[ids[t]].</summary>
public static class EmbeddingReference
{
    public static double[] Forward(int[] ids, double[] table, int columns, double scale) =>
        [.. ids.SelectMany(id => table.Skip(id * columns).Take(columns).Select(value => scale * value))];
}
