namespace GemmaCore.Cuda;

/// <summary>Does nothing in any order, and hands out addresses that lead nowhere: a program over it shows what memory it would take of a card.</summary>
/// <param name="memoryBytes">Memory of the card.</param>
internal sealed class RehearsedQueue(long memoryBytes) : ICardQueue
{
    private const long Granule = 256;

    private long _allocated, _next = 1L << 40;

    public void Prepare(CudaKernel kernel, int sharedBytes)
    {
    }

    public void Launch(CudaKernel kernel, LaunchGrid grid, ReadOnlySpan<KernelArgument> arguments)
    {
    }

    public void Upload(ReadOnlySpan<byte> source, nint destination)
    {
    }

    public void Download(nint source, Span<byte> destination) => destination.Clear();

    public void Fill(nint destination, byte value, long bytes)
    {
    }

    public void Copy(nint source, nint destination, long bytes)
    {
    }

    public void Synchronize()
    {
    }

    public void BeginRepeatable(int key)
    {
    }

    public void BreakRepeatable()
    {
    }

    public float Time(CudaKernel kernel, LaunchGrid grid, ReadOnlySpan<KernelArgument> arguments) => 0;

    public bool TryAllocate(long bytes, out nint pointer)
    {
        Interlocked.Add(ref _allocated, bytes);
        long room = (bytes + Granule) / Granule * Granule; // never zero: every allocation has an address of its own
        pointer = (nint)(Interlocked.Add(ref _next, room) - room);
        return true;
    }

    public void Free(nint pointer, long bytes) => Interlocked.Add(ref _allocated, -bytes);

    public (long Free, long Total) MemoryInfo() => (memoryBytes - Interlocked.Read(ref _allocated), memoryBytes);

    public void Dispose()
    {
    }
}
