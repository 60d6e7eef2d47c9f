namespace GemmaCore.Testing.References;

/// <summary>A row sorted by falling value, then rising id; and ln softmax of all its values, in double.</summary>
public static class TopKReference
{
    public static (int[] Ids, double[] Logprobs) Forward(float[] row)
    {
        int[] ids = [.. Enumerable.Range(0, row.Length).OrderByDescending(id => row[id]).ThenBy(id => id)];
        double total = Math.Log(row.Sum(value => Math.Exp(value - (double)row[ids[0]]))) + row[ids[0]];
        return (ids, Array.ConvertAll(ids, id => row[id] - total));
    }
}
