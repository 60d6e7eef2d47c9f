using System.Runtime.CompilerServices;

namespace GemmaCore.Cuda;

/// <summary>
/// The one stream of a device: launches, copies and fills in order, asynchronously. A stretch of work that was announced as repeatable
/// (<see cref="BeginRepeatable"/>) is recorded the first time, and later replayed as one CUDA graph if it is the same.
/// </summary>
internal sealed unsafe class CudaQueue : ICardQueue
{
    private const uint NonBlocking = 1;
    private const int MostArguments = 48, ReleaseThreshold = 4;

    private readonly CudaDriver _driver;
    private readonly string _device;
    private readonly bool _pools;
    private readonly Action _failed;
    private readonly KernelLibrary _kernels;
    private readonly LaunchHistory _history = new();
    private readonly Dictionary<int, RepeatedStep> _steps = [];
    private readonly PinnedStaging _staging;
    private RepeatedStep? _step;

    /// <param name="driver">The driver.</param>
    /// <param name="card">The card.</param>
    /// <param name="device">Its name, for messages.</param>
    /// <param name="kernels">Makes the kernels' library.</param>
    /// <param name="failed">Called before an error is thrown.</param>
    public CudaQueue(CudaDriver driver, CudaCard card, string device, Func<CudaQueue, KernelLibrary> kernels, Action failed)
    {
        (_driver, _device, _failed, _pools) = (driver, device, failed, card.HasMemoryPools);
        nint stream = 0;
        Check(driver.StreamCreate(&stream, NonBlocking), "cuStreamCreate");
        Stream = stream;
        _kernels = kernels(this);
        try
        {
            _staging = new PinnedStaging(this, driver);
            if (_pools) KeepFreedMemory(card);
        }
        catch
        {
            _staging?.Dispose();
            driver.StreamDestroy(stream);
            throw;
        }
    }

    public nint Stream { get; }

    /// <summary>How often everything queued has been waited for.</summary>
    public long WaitCount { get; private set; }

    /// <inheritdoc/>
    public void Prepare(CudaKernel kernel, int sharedBytes) => _kernels.Function(kernel, sharedBytes);

    public void Launch(CudaKernel kernel, LaunchGrid grid, ReadOnlySpan<KernelArgument> arguments)
    {
        if (arguments.Length > MostArguments) throw new ArgumentException($"{kernel}: {arguments.Length} parameters are above {MostArguments}");
        if (_step is { } step && step.TryLaunch(kernel, grid, arguments)) return;
        LaunchNow(kernel, grid, arguments);
    }

    public void Upload(ReadOnlySpan<byte> source, nint destination)
    {
        if (source.IsEmpty || (_step is { } step && step.TryUpload(source, destination))) return;
        _staging.Upload(source, destination);
    }

    /// <inheritdoc/>
    public void Download(nint source, Span<byte> destination)
    {
        EndRepeatable();
        _staging.Download(source, destination);
    }

    public void Fill(nint destination, byte value, long bytes)
    {
        if (bytes == 0 || (_step is { } step && step.TryFill(destination, value, bytes))) return;
        FillNow(destination, value, bytes);
    }

    public void Copy(nint source, nint destination, long bytes)
    {
        if (bytes == 0 || (_step is { } step && step.TryCopy(source, destination, bytes))) return;
        CopyNow(source, destination, bytes);
    }

    public void Synchronize()
    {
        EndRepeatable();
        WaitForStream();
    }

    /// <inheritdoc/>
    public void BeginRepeatable(int key)
    {
        EndRepeatable();
        if (!_steps.TryGetValue(key, out RepeatedStep? step)) _steps.Add(key, step = new RepeatedStep(this, _driver));
        _step = step.Begin() ? step : null;
    }

    /// <summary>Whatever was held back for a replay is queued now. Called before anything that depends on the order of the stream outside this class.</summary>
    public void EndRepeatable()
    {
        RepeatedStep? step = _step;
        _step = null; // also when ending fails
        step?.End();
    }

    /// <inheritdoc/>
    public void BreakRepeatable()
    {
        _step?.Break();
        _step = null;
    }

    /// <inheritdoc/>
    public float Time(CudaKernel kernel, LaunchGrid grid, ReadOnlySpan<KernelArgument> arguments)
    {
        EndRepeatable();
        nint begin = 0, end = 0;
        try
        {
            Check(_driver.EventCreate(&begin, 0), "cuEventCreate");
            Check(_driver.EventCreate(&end, 0), "cuEventCreate");
            Check(_driver.EventRecord(begin, Stream), "cuEventRecord");
            LaunchNow(kernel, grid, arguments);
            Check(_driver.EventRecord(end, Stream), "cuEventRecord");
            WaitForStream();
            float milliseconds = 0;
            Check(_driver.EventElapsedTime(&milliseconds, begin, end), "cuEventElapsedTime");
            return milliseconds;
        }
        finally
        {
            if (begin != 0) _driver.EventDestroy(begin);
            if (end != 0) _driver.EventDestroy(end);
        }
    }

    /// <inheritdoc/>
    public bool TryAllocate(long bytes, out nint pointer)
    {
        nint taken = 0;
        nuint size = (nuint)Math.Max(bytes, 1);
        int code = _pools ? _driver.MemAllocAsync(&taken, size, Stream) : _driver.MemAlloc(&taken, size);
        pointer = taken;
        if (code == CudaResult.OutOfMemory) return false;
        Check(code, _pools ? "cuMemAllocAsync" : "cuMemAlloc");
        return true;
    }

    // Freeing what a lost context held cannot succeed and is not reported.
    public void Free(nint pointer, long bytes)
    {
        EndRepeatable(); // what was held back may use the memory
        if (_pools) _driver.MemFreeAsync(pointer, Stream);
        else _driver.MemFree(pointer);
    }

    /// <inheritdoc/>
    public (long Free, long Total) MemoryInfo()
    {
        nuint free = 0, total = 0;
        Check(_driver.MemGetInfo(&free, &total), "cuMemGetInfo");
        return ((long)free, (long)total);
    }

    public void Dispose()
    {
        _step = null;
        // Errors here have been reported by the call that met them; a lost context answers every call with them.
        _driver.StreamSynchronize(Stream);
        foreach (RepeatedStep step in _steps.Values) step.Dispose();
        _staging.Dispose();
        _kernels.Dispose();
        _driver.StreamDestroy(Stream);
    }

    internal void LaunchNow(CudaKernel kernel, LaunchGrid grid, ReadOnlySpan<KernelArgument> arguments)
    {
        nint function = _kernels.Function(kernel, grid.SharedBytes);
        fixed (KernelArgument* values = arguments)
        {
            void** table = stackalloc void*[MostArguments];
            for (int i = 0; i < arguments.Length; i++) table[i] = values + i;
            _history.Add(kernel, grid);
            int code = _driver.LaunchKernel(
                function, (uint)grid.X, (uint)grid.Y, (uint)grid.Z, (uint)grid.Threads, 1, 1, (uint)grid.SharedBytes, Stream, table, null);
            if (code != 0) throw Failure(code, $"cuLaunchKernel of {kernel} [{grid}]");
        }
    }

    internal void FillNow(nint destination, byte value, long bytes) =>
        Check(_driver.MemsetD8Async(destination, value, (nuint)bytes, Stream), "cuMemsetD8Async");

    internal void CopyNow(nint source, nint destination, long bytes) =>
        Check(_driver.MemcpyDtoDAsync(destination, source, (nuint)bytes, Stream), "cuMemcpyDtoDAsync");

    internal void WaitForStream()
    {
        Check(_driver.StreamSynchronize(Stream), "cuStreamSynchronize");
        WaitCount++;
        _history.Clear();
    }

    /// <summary>Throws when a driver call failed.</summary>
    internal void Check(int code, string call, CudaKernel? kernel = null)
    {
        if (code != 0) throw Failure(code, kernel is null ? call : $"{call} for {kernel}");
    }

    // Freed memory stays with the pool instead of going back to the system at every synchronisation.
    private void KeepFreedMemory(CudaCard card)
    {
        nint pool = 0;
        ulong all = ulong.MaxValue;
        Check(_driver.DeviceGetDefaultMemPool(&pool, card.Handle), "cuDeviceGetDefaultMemPool");
        Check(_driver.MemPoolSetAttribute(pool, ReleaseThreshold, &all), "cuMemPoolSetAttribute");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private CudaException Failure(int code, string call)
    {
        _failed();
        string earlier = CudaResult.IsSticky(code) ? _history.Describe() : "";
        string remedy = CudaResult.IsSticky(code) ? "; the card's context is lost: start the program again, a training run with --resume"
            : code == CudaResult.OutOfMemory ? "; " + CudaResult.MemoryRemedy : "";
        return new CudaException($"{call}: {_driver.Describe(code)}, {_device}{remedy}{earlier}", code);
    }
}
