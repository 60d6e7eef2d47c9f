namespace GemmaCore.Cuda;

/// <summary>The work of a card in its order, and its memory: a stream of the driver (<see cref="CudaQueue"/>), or nothing but an account (<see cref="RehearsedQueue"/>).</summary>
internal interface ICardQueue : IDisposable
{
    /// <summary>Loads a kernel, so that its first launch does not wait for the compiler.</summary>
    void Prepare(CudaKernel kernel, int sharedBytes);

    void Launch(CudaKernel kernel, LaunchGrid grid, ReadOnlySpan<KernelArgument> arguments);

    void Upload(ReadOnlySpan<byte> source, nint destination);

    /// <summary>Waits for everything before it, and so ends a repeatable stretch.</summary>
    void Download(nint source, Span<byte> destination);

    void Fill(nint destination, byte value, long bytes);

    void Copy(nint source, nint destination, long bytes);

    void Synchronize();

    /// <summary>Announces work, up to the next read-back, that probably repeats the launches of the last time under this key.</summary>
    void BeginRepeatable(int key);

    /// <summary>Whatever was held back is dropped: the work it belongs to has failed.</summary>
    void BreakRepeatable();

    /// <summary>Milliseconds of one launch, waited for.</summary>
    float Time(CudaKernel kernel, LaunchGrid grid, ReadOnlySpan<KernelArgument> arguments);

    /// <returns>False when there is no memory left.</returns>
    bool TryAllocate(long bytes, out nint pointer);

    void Free(nint pointer, long bytes);

    /// <summary>Free and total memory of the card, of all processes.</summary>
    (long Free, long Total) MemoryInfo();
}
