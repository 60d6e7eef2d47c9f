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
}
