using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace GemmaCore.Ops;

/// <summary>
/// How a core reads its part of a matrix that is multiplied by a few rows: row n beside row n + half of the part, so as two long streams, and each a little ahead. One stream leaves the memory
/// waiting, and two neighbouring rows at a time, which are short streams that jump, are read more slowly: at two thirds of the speed where rows have a kilobyte (`bench/results/quantized-cpu.md`).
/// </summary>
internal static unsafe class RowStreams
{
    // What a stream must have under way to be read at the speed of memory.
    private const int BytesAhead = 3 << 10;

    /// <summary>The row that is read beside row <paramref name="n"/> of a part's first half: itself where an odd number leaves none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Beside(int n, int half, int end) => n + half < end ? n + half : n;

    /// <summary>Asks for the cache line that the stream will come to; it may lie anywhere.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FetchAhead(byte* stream)
    {
        if (Sse.IsSupported) Sse.Prefetch0(stream + BytesAhead);
    }
}
