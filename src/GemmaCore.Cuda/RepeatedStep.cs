using System.Runtime.InteropServices;

namespace GemmaCore.Cuda;

/// <summary>
/// A stretch of work that repeats, such as one decoding step. The first time it is queued as it comes and recorded; the next time what comes is only
/// compared with the record, and if all of it is the same, one graph launch replaces the hundreds of single ones. What differs from step to step must be
/// data in device memory: uploads go through pinned memory of this step, so that a replay takes their new contents.
/// </summary>
/// <remarks>Something different is noticed where it comes: what was held back is queued as recorded, and from there on the step is recorded anew.</remarks>
internal sealed unsafe class RepeatedStep(CudaQueue queue, CudaDriver driver) : IDisposable
{
    // Token ids, positions, masks and sequence tables of one decoding step; a step that uploads more is not worth holding back.
    private const int InputBytes = 1 << 18;
    private const int ThreadLocalCapture = 1;

    private enum Kind : byte
    {
        Launch,
        Upload,
        Fill,
        Copy,
    }

    // Source of an upload is an offset into the inputs; a fill's value stands in Source.
    private readonly record struct Entry(Kind Kind, CudaKernel? Kernel, LaunchGrid Grid, int FirstArgument, int ArgumentCount, nint Source, nint Destination, long Bytes);

    private readonly List<Entry> _entries = [];
    private readonly List<KernelArgument> _arguments = [];
    private nint _inputs, _graph;
    private int _position, _inputOffset;
    private bool _comparing, _abandoned;
    private long _waitsAtEnd = -1; // of the queue, when this step's inputs were last given to the card; −1 when they never were

    /// <summary>Starts the stretch again. False when it has shown itself not to be worth it.</summary>
    public bool Begin()
    {
        if (_abandoned) return false;
        if (_inputs == 0)
        {
            nint inputs = 0;
            queue.Check(driver.MemHostAlloc(&inputs, InputBytes, 0), "cuMemHostAlloc");
            _inputs = inputs;
        }

        // The card may still be reading the last step's inputs; where a read-back has waited since, it is not.
        if (_waitsAtEnd == queue.WaitCount) queue.WaitForStream();
        _position = _inputOffset = 0;
        _comparing = _entries.Count > 0;
        return true;
    }

    /// <summary>True when the launch is held back; false when the caller queues it.</summary>
    public bool TryLaunch(CudaKernel kernel, LaunchGrid grid, ReadOnlySpan<KernelArgument> arguments)
    {
        if (_comparing && _position < _entries.Count)
        {
            Entry entry = _entries[_position];
            if (entry.Kind == Kind.Launch && entry.Kernel == kernel && entry.Grid == grid && SameArguments(entry, arguments))
            {
                _position++;
                return true;
            }
        }

        Diverge();
        int first = _arguments.Count;
        foreach (KernelArgument argument in arguments) _arguments.Add(argument);
        _entries.Add(new Entry(Kind.Launch, kernel, grid, first, arguments.Length, 0, 0, 0));
        return false;
    }

    /// <summary>As <see cref="TryLaunch"/>; the bytes are taken over in any case unless the step is given up.</summary>
    public bool TryUpload(ReadOnlySpan<byte> source, nint destination)
    {
        int offset = _inputOffset;
        if (offset + source.Length > InputBytes)
        {
            Diverge();
            _abandoned = true;
            return false;
        }

        source.CopyTo(new Span<byte>((void*)(_inputs + offset), source.Length));
        _inputOffset = (offset + source.Length + 15) & ~15;
        var entry = new Entry(Kind.Upload, null, default, 0, 0, offset, destination, source.Length);
        if (!Held(entry)) Issue(entry);
        return true;
    }

    /// <summary>As <see cref="TryLaunch"/>.</summary>
    public bool TryFill(nint destination, byte value, long bytes) => Held(new Entry(Kind.Fill, null, default, 0, 0, value, destination, bytes));

    /// <summary>As <see cref="TryLaunch"/>.</summary>
    public bool TryCopy(nint source, nint destination, long bytes) => Held(new Entry(Kind.Copy, null, default, 0, 0, source, destination, bytes));

    /// <summary>Ends the stretch and queues what was held back.</summary>
    public void End()
    {
        _waitsAtEnd = queue.WaitCount;
        if (!_comparing) return;
        if (_position < _entries.Count)
        {
            Diverge(); // it stopped early
            return;
        }

        if (_graph == 0) Capture();
        queue.Check(driver.GraphLaunch(_graph, queue.Stream), "cuGraphLaunch");
    }

    /// <summary>Ends the stretch after a failure: what was held back is not wanted any more.</summary>
    public void Break() => _waitsAtEnd = queue.WaitCount;

    public void Dispose()
    {
        DropGraph();
        if (_inputs != 0) driver.MemFreeHost(_inputs);
        _inputs = 0;
    }

    private bool Held(Entry entry)
    {
        if (_comparing && _position < _entries.Count && _entries[_position] == entry)
        {
            _position++;
            return true;
        }

        Diverge();
        _entries.Add(entry);
        return false;
    }

    private bool SameArguments(Entry entry, ReadOnlySpan<KernelArgument> arguments)
    {
        if (entry.ArgumentCount != arguments.Length) return false;
        for (int i = 0; i < arguments.Length; i++)
            if (_arguments[entry.FirstArgument + i] != arguments[i]) return false;
        return true;
    }

    // From here on the step is another than the recorded one: what agreed is queued, the rest of the record is dropped.
    private void Diverge()
    {
        if (!_comparing) return;
        _comparing = false;
        DropGraph();
        for (int i = 0; i < _position; i++) Issue(_entries[i]);
        int kept = 0;
        for (int i = 0; i < _position; i++) kept += _entries[i].ArgumentCount;
        _entries.RemoveRange(_position, _entries.Count - _position);
        _arguments.RemoveRange(kept, _arguments.Count - kept);
    }

    private void Capture()
    {
        nint graph = 0, executable = 0;
        queue.Check(driver.StreamBeginCapture(queue.Stream, ThreadLocalCapture), "cuStreamBeginCapture");
        try
        {
            bool complete = false;
            try
            {
                foreach (Entry entry in _entries) Issue(entry);
                complete = true;
            }
            finally
            {
                // Ends the capture also when a launch was refused; that error is the one to report. A refused end is no end.
                int ended = driver.StreamEndCapture(queue.Stream, &graph);
                if (ended != 0) driver.StreamEndCapture(queue.Stream, &graph);
                if (complete) queue.Check(ended, "cuStreamEndCapture");
            }

            queue.Check(driver.GraphInstantiate(&executable, graph, 0), "cuGraphInstantiate");
            _graph = executable;
        }
        finally
        {
            if (graph != 0) driver.GraphDestroy(graph);
        }
    }

    private void Issue(Entry entry)
    {
        switch (entry.Kind)
        {
            case Kind.Launch:
                queue.LaunchNow(entry.Kernel!, entry.Grid, CollectionsMarshal.AsSpan(_arguments).Slice(entry.FirstArgument, entry.ArgumentCount));
                break;
            case Kind.Upload:
                queue.Check(driver.MemcpyHtoDAsync(entry.Destination, _inputs + entry.Source, (nuint)entry.Bytes, queue.Stream), "cuMemcpyHtoDAsync");
                break;
            case Kind.Fill:
                queue.FillNow(entry.Destination, (byte)entry.Source, entry.Bytes);
                break;
            default:
                queue.CopyNow(entry.Source, entry.Destination, entry.Bytes);
                break;
        }
    }

    private void DropGraph()
    {
        if (_graph != 0) driver.GraphExecDestroy(_graph);
        _graph = 0;
    }
}
