using System.Runtime.InteropServices;

namespace GemmaCore.Tensors;

/// <summary>Memory that reads as zeros and takes room only where something is written.</summary>
/// <remarks>
/// The system gives large blocks page by page, on the first touch. Smaller ones the C library takes from what was freed and clears by hand, which is most of the time of a plan;
/// so pieces are cut from large blocks. They are never used again, since they may have been written, and go back together.
/// </remarks>
internal sealed unsafe class RehearsedMemory : IDisposable
{
    // Above what glibc ever takes from its heap (32 MiB on 64 bits).
    private const long BlockBytes = 64L << 20;

    private readonly Lock _lock = new();
    private readonly long _alignment;
    private readonly List<nint> _blocks = [];
    private nint _next, _end;

    /// <param name="alignment">Of every piece; a power of two.</param>
    public RehearsedMemory(int alignment) => _alignment = alignment;

    public nint Allocate(long bytes)
    {
        if (IsOwnBlock(bytes))
        {
            // What was allocated stands before what is given out.
            nint block = (nint)NativeMemory.AllocZeroed((nuint)(bytes + 2 * _alignment));
            nint pointer = Aligned(block + (nint)_alignment);
            ((nint*)pointer)[-1] = block;
            return pointer;
        }

        lock (_lock)
        {
            long taken = Math.Max(bytes, 1); // nothing has an address of its own too
            nint pointer = Aligned(_next);
            if (pointer + taken > _end)
            {
                nint block = (nint)NativeMemory.AllocZeroed((nuint)BlockBytes);
                _blocks.Add(block);
                (pointer, _end) = (Aligned(block), block + (nint)BlockBytes);
            }

            _next = pointer + (nint)taken;
            return pointer;
        }
    }

    public static void Free(nint pointer, long bytes)
    {
        if (IsOwnBlock(bytes)) NativeMemory.Free((void*)((nint*)pointer)[-1]);
    }

    public void Dispose()
    {
        foreach (nint block in _blocks) NativeMemory.Free((void*)block);
        _blocks.Clear();
        (_next, _end) = (0, 0);
    }

    private static bool IsOwnBlock(long bytes) => bytes >= BlockBytes / 2;

    private nint Aligned(nint address) => (nint)((address + _alignment - 1) & ~(_alignment - 1));
}
