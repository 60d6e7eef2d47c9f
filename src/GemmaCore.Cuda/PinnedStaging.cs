namespace GemmaCore.Cuda;

/// <summary>
/// Page-locked host memory between the program's own and the card's. Uploads go through two halves in turn, so that the host fills one while the card reads
/// the other; downloads wait for the stream.
/// </summary>
internal sealed unsafe class PinnedStaging : IDisposable
{
    private const int HalfBytes = 4 << 20;
    private const uint DisableTiming = 2;

    private readonly CudaQueue _queue;
    private readonly CudaDriver _driver;
    private readonly nint _memory;
    private readonly nint[] _read = new nint[2];
    private int _half, _offset;
    private bool _waiting;

    public PinnedStaging(CudaQueue queue, CudaDriver driver)
    {
        _queue = queue;
        _driver = driver;
        nint memory = 0;
        queue.Check(driver.MemHostAlloc(&memory, 2 * HalfBytes, 0), "cuMemHostAlloc");
        _memory = memory;
        try
        {
            for (int i = 0; i < 2; i++)
            {
                nint done = 0;
                queue.Check(driver.EventCreate(&done, DisableTiming), "cuEventCreate");
                _read[i] = done;
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Queues a copy to the card; <paramref name="source"/> may be reused at once.</summary>
    public void Upload(ReadOnlySpan<byte> source, nint destination)
    {
        AfterFailedWait();
        while (source.Length > 0)
        {
            if (_offset == HalfBytes) Turn();
            int bytes = Math.Min(source.Length, HalfBytes - _offset);
            nint at = _memory + _half * HalfBytes + _offset;
            source[..bytes].CopyTo(new Span<byte>((void*)at, bytes));
            _queue.Check(_driver.MemcpyHtoDAsync(destination, at, (nuint)bytes, _queue.Stream), "cuMemcpyHtoDAsync");
            // Sixteen-byte steps keep every piece aligned for the copy engine.
            _offset = Math.Min(HalfBytes, (_offset + bytes + 15) & ~15);
            source = source[bytes..];
            destination += bytes;
        }
    }

    /// <summary>Copies from the card when all earlier work has finished.</summary>
    public void Download(nint source, Span<byte> destination)
    {
        AfterFailedWait();
        if (_offset > 0) Turn(); // what was put into this half may not have been read yet
        nint at = _memory + _half * HalfBytes;
        while (destination.Length > 0)
        {
            int bytes = Math.Min(destination.Length, HalfBytes);
            _queue.Check(_driver.MemcpyDtoHAsync(at, source, (nuint)bytes, _queue.Stream), "cuMemcpyDtoHAsync");
            _waiting = true;
            _queue.WaitForStream();
            _waiting = false;
            new ReadOnlySpan<byte>((void*)at, bytes).CopyTo(destination);
            destination = destination[bytes..];
            source += bytes;
        }
    }

    public void Dispose()
    {
        foreach (nint done in _read)
            if (done != 0) _driver.EventDestroy(done);
        _driver.MemFreeHost(_memory);
    }

    // The other half, once the card has read what was put there.
    private void Turn()
    {
        _queue.Check(_driver.EventRecord(_read[_half], _queue.Stream), "cuEventRecord");
        _half = 1 - _half;
        _offset = 0;
        _waiting = true;
        _queue.Check(_driver.EventSynchronize(_read[_half]), "cuEventSynchronize");
        _waiting = false;
    }

    // A wait that ended in an error did not wait: the card may still be at work on this memory.
    private void AfterFailedWait()
    {
        if (_waiting) _queue.WaitForStream();
        _waiting = false;
    }
}
