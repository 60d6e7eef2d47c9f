using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>Checks lists of row numbers.</summary>
internal static unsafe class RowIndices
{
    public static void Check(string operation, TensorView rows, int limit)
    {
        int* row = rows.Ints;
        for (int i = 0; i < rows.Shape.ElementCount; i++)
            Require.That((uint)row[i] < (uint)limit, operation, $"rows[{i}] is {row[i]}, but there are {limit} rows");
    }

    /// <summary>As <see cref="Check"/>, and no row twice: two parts of the work would write to it at once.</summary>
    public static void CheckDistinct(string operation, TensorView rows, int limit)
    {
        Check(operation, rows, limit);
        int* row = rows.Ints;
        bool[]? seen = null;
        for (int i = 1; i < rows.Shape.ElementCount; i++)
        {
            // Lists come in ascending order, where this costs nothing; any other needs a mark for every row.
            if (seen is null && row[i] > row[i - 1]) continue;
            if (seen is null)
            {
                seen = new bool[limit];
                for (int j = 0; j < i; j++) seen[row[j]] = true;
            }

            Require.That(!seen[row[i]], operation, $"rows[{i}] is {row[i]}, which is listed before; rows must be distinct");
            seen[row[i]] = true;
        }
    }
}
