using System.Diagnostics.CodeAnalysis;
using GemmaCore.Tensors;

namespace GemmaCore.Cuda;

/// <summary>
/// One card: memory from its stream-ordered pool, one stream that all work goes through in order, kernels compiled on first use. Everything is
/// asynchronous except <see cref="CopyToHost"/>; an error of an earlier launch therefore shows up at a later call. One user at a time, from any thread.
/// </summary>
public sealed unsafe partial class CudaDevice : Device
{
    [ThreadStatic]
    private static nint t_context;

    private readonly CudaDriver? _driver; // a rehearsal has none, and no context
    private readonly ICardQueue _queue;
    private readonly nint _context;
    private long _allocated, _peak;
    private bool _disposed;

    private CudaDevice(CudaDriver driver, CudaCard card, int architecture, CudaPrecision precision, KernelCache cache)
    {
        (_driver, Card, Architecture, Precision) = (driver, card, architecture, precision);
        HasWarpgroups = CudaTarget.HasWarpgroups(TargetOf(card, architecture));
        nint context = 0;
        int code = driver.DevicePrimaryCtxRetain(&context, card.Handle);
        if (code != 0) throw new CudaException($"cuDevicePrimaryCtxRetain: {driver.Describe(code)}, {this}", code);
        _context = context;
        try
        {
            MakeCurrent();
            _queue = new CudaQueue(driver, card, ToString(), queue => new KernelLibrary(driver, queue, TargetOf(card, architecture), ToString(), cache), EndFailedWork);
            Scratch = new Arena(this, 1 << 20);
        }
        catch
        {
            _queue?.Dispose();
            driver.DevicePrimaryCtxRelease(card.Handle);
            t_context = 0;
            throw;
        }
    }

    private CudaDevice(CudaCard card, int architecture, CudaPrecision precision)
    {
        (Card, Architecture, Precision) = (card, architecture, precision);
        HasWarpgroups = CudaTarget.HasWarpgroups(CudaTarget.Compiled(card.Capability, architecture, architecture));
        _queue = new RehearsedQueue(card.MemoryBytes);
        Scratch = new Arena(this, 1 << 20);
    }

    /// <summary>What the driver says of the card.</summary>
    public CudaCard Card { get; }

    /// <inheritdoc/>
    public override bool IsRehearsal => _driver is null;

    /// <summary>Compute capability that kernels are compiled for, times ten: the card's own, or a lower one that was forced.</summary>
    public int Architecture { get; }

    /// <summary>Whether kernels may multiply in warpgroups (wgmma), which Hopper alone can.</summary>
    public bool HasWarpgroups { get; }

    /// <summary>Arithmetic of matrix products and attention.</summary>
    public CudaPrecision Precision { get; }

    /// <summary>Temporaries of one operation: take a mark, take views, launch, rewind. Work is in stream order, so the memory may be reused at once.</summary>
    public Arena Scratch { get; }

    /// <summary>Streaming multiprocessors.</summary>
    public int MultiprocessorCount => Card.MultiprocessorCount;

    /// <summary>Most shared memory that one block may ask for.</summary>
    public int SharedBytesPerBlock => Card.SharedBytesPerBlock;

    /// <inheritdoc/>
    public override string Name => $"cuda:{Card.Ordinal}";

    /// <inheritdoc/>
    public override string PrecisionPath => Precision switch
    {
        CudaPrecision.Float32 => $"fp32 (sm_{Architecture})",
        CudaPrecision.Float16 => $"fp16 tensor cores with row scales, fp32 sums (sm_{Architecture})",
        _ => $"bf16 tensor cores, fp32 sums (sm_{Architecture})",
    };

    /// <inheritdoc/>
    public override long AvailableBytes => IsRehearsal ? long.MaxValue : MemoryInfo().Free;

    /// <inheritdoc/>
    public override long AllocatedBytes => Interlocked.Read(ref _allocated);

    /// <inheritdoc/>
    public override long PeakAllocatedBytes => Interlocked.Read(ref _peak);

    /// <inheritdoc/>
    public override long PeakTemporaryBytes => Scratch.PeakBytes;

    /// <inheritdoc/>
    public override void ReserveTemporaries(long bytes)
    {
        Scratch.Reserve(bytes);
        // What is given back in stream order is free when the stream has come there.
        if (bytes == 0) Synchronize();
    }

    /// <summary>Queues a kernel. Parameters follow in the kernel's order; a wrong number of them is not noticed here.</summary>
    /// <exception cref="CudaException">The kernel does not compile, or the driver refuses the launch.</exception>
    public void Launch(CudaKernel kernel, LaunchGrid grid, params ReadOnlySpan<KernelArgument> arguments)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        MakeCurrent();
        _queue.Launch(kernel, grid, arguments);
    }

    /// <summary>Compiles and loads a kernel ahead of its first launch.</summary>
    public void Prepare(CudaKernel kernel, int sharedBytes = 0)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        MakeCurrent();
        _queue.Prepare(kernel, sharedBytes);
    }

    /// <summary>Waits until everything queued so far has finished, and reports what went wrong in it.</summary>
    public void Synchronize()
    {
        MakeCurrent();
        _queue.Synchronize();
    }

    /// <inheritdoc/>
    public override void BeginRepeatable(int key)
    {
        MakeCurrent();
        _queue.BeginRepeatable(key);
    }

    /// <summary>Free and total memory of the card, of all processes.</summary>
    public (long Free, long Total) MemoryInfo()
    {
        MakeCurrent();
        return _queue.MemoryInfo();
    }

    /// <inheritdoc/>
    public override void CopyFromHost(ReadOnlySpan<byte> source, TensorView destination)
    {
        if (source.Length != destination.ByteCount) throw new ShapeException($"CopyFromHost: {source.Length} bytes do not fill {destination}");
        MakeCurrent();
        _queue.Upload(source, destination.Pointer);
    }

    /// <inheritdoc/>
    public override void CopyToHost(TensorView source, Span<byte> destination)
    {
        if (destination.Length != source.ByteCount) throw new ShapeException($"CopyToHost: {destination.Length} bytes do not take {source}");
        MakeCurrent();
        _queue.Download(source.Pointer, destination);
    }

    /// <inheritdoc/>
    public override void Clear(TensorView view)
    {
        MakeCurrent();
        _queue.Fill(view.Pointer, 0, view.ByteCount);
    }

    /// <inheritdoc/>
    public override void Copy(TensorView source, TensorView destination)
    {
        if (source.ByteCount != destination.ByteCount) throw new ShapeException($"Copy: {source} does not fit {destination}");
        MakeCurrent();
        _queue.Copy(source.Pointer, destination.Pointer, source.ByteCount);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        if (_disposed) return;
        MakeCurrent();
        Scratch.Dispose();
        _queue.Dispose();
        _disposed = true;
        if (_driver is null) return;
        _driver.CtxSetCurrent(0);
        t_context = 0;
        _driver.DevicePrimaryCtxRelease(Card.Handle);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Name} ({Card.Name})";

    internal override nint Allocate(long bytes)
    {
        MakeCurrent();
        if (!_queue.TryAllocate(bytes, out nint pointer))
        {
            EndFailedWork();
            throw OutOfMemory(bytes);
        }

        Count(bytes);
        return pointer;
    }

    private void Count(long bytes)
    {
        long now = Interlocked.Add(ref _allocated, bytes);
        for (long peak = _peak; now > peak; peak = _peak)
            if (Interlocked.CompareExchange(ref _peak, now, peak) == peak) break;
    }

    // Also called by finalizers of forgotten buffers, after which the device may be gone.
    internal override void Free(nint pointer, long bytes)
    {
        if (_disposed) return;
        MakeCurrent();
        _queue.Free(pointer, bytes);
        Interlocked.Add(ref _allocated, -bytes);
    }

    // An operation that fails does not come to the point where it gives its temporaries back, nor the step around it to its end.
    private void EndFailedWork()
    {
        _queue?.BreakRepeatable();
        Scratch?.Reset();
    }

    private CudaException OutOfMemory(long bytes)
    {
        (long free, long total) = _queue.MemoryInfo();
        return new CudaException(
            $"{_driver!.Describe(CudaResult.OutOfMemory)}: {this} has no {Mebibytes(bytes)} MiB left: this program holds {Mebibytes(AllocatedBytes)} MiB of {Mebibytes(total)}, "
            + $"{Mebibytes(free)} MiB are free; {CudaResult.MemoryRemedy}", CudaResult.OutOfMemory);

        static long Mebibytes(long count) => (count + (1 << 20) - 1) >> 20;
    }

    /// <summary>Milliseconds of one launch between two events of the stream.</summary>
    internal float Time(CudaKernel kernel, LaunchGrid grid, params ReadOnlySpan<KernelArgument> arguments)
    {
        MakeCurrent();
        return _queue.Time(kernel, grid, arguments);
    }

    private void MakeCurrent()
    {
        if (_disposed) ThrowDisposed();
        if (_driver is null || t_context == _context) return;
        int code = _driver.CtxSetCurrent(_context);
        if (code != 0)
        {
            EndFailedWork();
            throw new CudaException($"cuCtxSetCurrent: {_driver.Describe(code)}, {this}", code);
        }

        t_context = _context;
    }

    [DoesNotReturn]
    private void ThrowDisposed() => throw new ObjectDisposedException(Name);
}
