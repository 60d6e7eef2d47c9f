using System.Buffers;
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
        var listed = new ReadOnlySpan<int>(rows.Ints, checked((int)rows.Shape.ElementCount));
        int ascending = 1;
        while (ascending < listed.Length && listed[ascending] > listed[ascending - 1]) ascending++;
        if (ascending >= listed.Length) return; // most lists, where it costs nothing
        int[] rented = ArrayPool<int>.Shared.Rent(listed.Length);
        Span<int> sorted = rented.AsSpan(0, listed.Length);
        listed.CopyTo(sorted);
        sorted.Sort();
        int twice = -1;
        for (int i = 1; i < sorted.Length && twice < 0; i++)
            if (sorted[i] == sorted[i - 1]) twice = sorted[i];
        ArrayPool<int>.Shared.Return(rented);
        Require.That(twice < 0, operation, $"rows[{listed.LastIndexOf(twice)}] is {twice}, which is listed before; rows must be distinct");
    }
}
