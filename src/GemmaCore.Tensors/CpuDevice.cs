using System.Runtime.InteropServices;

namespace GemmaCore.Tensors;

/// <summary>The host processor: memory from the C allocator, work on a fixed pool of threads.</summary>
public sealed unsafe class CpuDevice : Device
{
    // One cache line, and the width of a 512-bit load.
    private const int Alignment = 64;

    private static readonly Lazy<CpuDevice> OneThread = new(() => new CpuDevice(1));

    private readonly RehearsedMemory? _rehearsed; // null where something is computed
    private long _allocated, _peak;

    /// <summary>A CPU device that computes on <paramref name="threadCount"/> threads (0: one per processor).</summary>
    public CpuDevice(int threadCount = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(threadCount);
        Workers = new WorkerPool(threadCount == 0 ? Environment.ProcessorCount : threadCount);
    }

    private CpuDevice(WorkerPool idle, RehearsedMemory memory) => (Workers, _rehearsed) = (idle, memory);

    /// <summary>
    /// A device that computes nothing (<see cref="Device.IsRehearsal"/>). Its memory reads as zeros, and takes room on the machine only where something is written.
    /// </summary>
    public static CpuDevice Rehearsal() => new(WorkerPool.Idle(), new RehearsedMemory(Alignment));

    /// <inheritdoc/>
    public override Device OpenRehearsal() => Rehearsal();

    /// <summary>The threads operations run on.</summary>
    public WorkerPool Workers { get; }

    /// <inheritdoc/>
    public override bool IsRehearsal => _rehearsed is not null;

    /// <inheritdoc/>
    public override string Name => "cpu";

    /// <inheritdoc/>
    public override string PrecisionPath => "fp32";

    /// <inheritdoc/>
    public override long AvailableBytes => IsRehearsal ? long.MaxValue : GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <summary>Owner of host memory that belongs to no computing device: files mapped for a model on a card, staging copies. Never disposed.</summary>
    public static CpuDevice Host => OneThread.Value;

    /// <inheritdoc/>
    public override long AllocatedBytes => Interlocked.Read(ref _allocated);

    /// <inheritdoc/>
    public override long PeakAllocatedBytes => Interlocked.Read(ref _peak);

    internal override nint Allocate(long bytes)
    {
        nint pointer = _rehearsed?.Allocate(bytes) ?? (nint)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 1), Alignment);
        long now = Interlocked.Add(ref _allocated, bytes);
        for (long peak = _peak; now > peak; peak = _peak)
            if (Interlocked.CompareExchange(ref _peak, now, peak) == peak) break;
        return pointer;
    }

    internal override void Free(nint pointer, long bytes)
    {
        if (IsRehearsal) RehearsedMemory.Free(pointer, bytes);
        else NativeMemory.AlignedFree((void*)pointer);
        Interlocked.Add(ref _allocated, -bytes);
    }

    /// <inheritdoc/>
    public override void CopyFromHost(ReadOnlySpan<byte> source, TensorView destination)
    {
        if (source.Length != destination.ByteCount)
            throw new ShapeException($"CopyFromHost: {source.Length} bytes do not fill {destination}");
        source.CopyTo(new Span<byte>((void*)destination.Pointer, source.Length));
    }

    /// <inheritdoc/>
    public override void CopyToHost(TensorView source, Span<byte> destination)
    {
        if (destination.Length != source.ByteCount)
            throw new ShapeException($"CopyToHost: {destination.Length} bytes do not take {source}");
        new ReadOnlySpan<byte>((void*)source.Pointer, destination.Length).CopyTo(destination);
    }

    /// <inheritdoc/>
    public override void Clear(TensorView view)
    {
        if (!IsRehearsal) NativeMemory.Clear((void*)view.Pointer, (nuint)view.ByteCount);
    }

    /// <inheritdoc/>
    public override void Copy(TensorView source, TensorView destination)
    {
        if (source.ByteCount != destination.ByteCount) throw new ShapeException($"Copy: {source} does not fit {destination}");
        if (IsRehearsal) return;
        System.Buffer.MemoryCopy((void*)source.Pointer, (void*)destination.Pointer, destination.ByteCount, source.ByteCount);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        Workers.Dispose();
        _rehearsed?.Dispose();
    }
}
