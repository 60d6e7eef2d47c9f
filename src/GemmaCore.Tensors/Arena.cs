using System.Runtime.InteropServices;

namespace GemmaCore.Tensors;

/// <summary>
/// Bump allocator for activations: views are taken one after the other and given back together, by <see cref="Rewind"/> to a
/// mark or by <see cref="Reset"/>. Memory grows in blocks and is kept for the next step, so a steady loop allocates nothing.
/// Not thread-safe: one arena belongs to one sequence of operations.
/// </summary>
public sealed class Arena : IDisposable
{
    private const long Alignment = 64, Unit = 64 << 10;
    private readonly Device _device;
    private readonly long _blockBytes;
    private readonly List<DeviceBuffer> _blocks = [];
    private int _block;
    private long _offset;
    private long _usedBefore;

    /// <summary>An arena on <paramref name="device"/> that grows by at least <paramref name="blockBytes"/>.</summary>
    public Arena(Device device, long blockBytes = 8L << 20)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentOutOfRangeException.ThrowIfLessThan(blockBytes, Alignment);
        _device = device;
        _blockBytes = blockBytes;
    }

    /// <summary>Device of every view handed out.</summary>
    public Device Device => _device;

    /// <summary>Most bytes in use at once since the arena was made or last <see cref="Release">released</see>.</summary>
    public long PeakBytes { get; private set; }

    /// <summary>Bytes of a single block that holds <paramref name="peakBytes"/> of views.</summary>
    public static long BlockBytes(long peakBytes) => (peakBytes + Unit - 1) / Unit * Unit;

    /// <summary>Takes one block for views of <paramref name="peakBytes"/> in all, instead of growing; the arena must be empty.</summary>
    public void Reserve(long peakBytes)
    {
        Release();
        if (peakBytes > 0) _blocks.Add(NewBlock(peakBytes));
    }

    /// <summary>Gives back every view, and the memory to the device.</summary>
    public void Release()
    {
        foreach (DeviceBuffer block in _blocks) block.Dispose();
        _blocks.Clear();
        Reset();
        PeakBytes = 0;
    }

    /// <summary>An uninitialised F32 view, valid until the arena is rewound past it.</summary>
    public TensorView Take(Shape shape) => Take(shape, DType.F32);

    /// <summary>An uninitialised view, valid until the arena is rewound past it.</summary>
    public TensorView Take(Shape shape, DType dtype)
    {
        long bytes = (Math.Max(1, shape.ElementCount * dtype.Size()) + Alignment - 1) / Alignment * Alignment;
        while (_block < _blocks.Count && _offset + bytes > _blocks[_block].View.ByteCount)
        {
            _usedBefore += _offset;
            _block++;
            _offset = 0;
        }

        if (_block == _blocks.Count) _blocks.Add(NewBlock(Math.Max(bytes, _blockBytes)));
        nint pointer = _blocks[_block].View.Pointer + (nint)_offset;
        _offset += bytes;
        PeakBytes = Math.Max(PeakBytes, _usedBefore + _offset);
        return new TensorView(pointer, shape, dtype, _device);
    }

    /// <summary>A view filled with a copy of host integers.</summary>
    public TensorView TakeInts(ReadOnlySpan<int> values)
    {
        TensorView view = Take(new Shape(values.Length), DType.I32);
        _device.CopyFromHost(MemoryMarshal.AsBytes(values), view);
        return view;
    }

    /// <summary>The present fill level, for <see cref="Rewind"/>.</summary>
    public Mark Position => new(_block, _offset, _usedBefore);

    /// <summary>Gives back every view taken after <paramref name="mark"/>.</summary>
    public void Rewind(Mark mark) => (_block, _offset, _usedBefore) = (mark.Block, mark.Offset, mark.UsedBefore);

    /// <summary>Gives back every view; the memory stays with the arena.</summary>
    public void Reset() => Rewind(default);

    /// <inheritdoc/>
    public void Dispose() => Release();

    private DeviceBuffer NewBlock(long bytes)
    {
        // Whole blocks of 64 KiB and no more than int.MaxValue rows of them, so that the shape stays representable.
        return new DeviceBuffer(_device, new Shape(checked((int)(BlockBytes(bytes) / Unit)), (int)Unit), DType.U8);
    }

    /// <summary>A fill level of an arena.</summary>
    public readonly record struct Mark
    {
        internal Mark(int block, long offset, long usedBefore) => (Block, Offset, UsedBefore) = (block, offset, usedBefore);

        internal int Block { get; }

        internal long Offset { get; }

        internal long UsedBefore { get; }
    }
}
