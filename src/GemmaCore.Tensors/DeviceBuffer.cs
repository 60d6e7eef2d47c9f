namespace GemmaCore.Tensors;

/// <summary>Owner of one allocation on a device. Views made from it die with it.</summary>
public sealed class DeviceBuffer : IDisposable
{
    private readonly Device _device;
    private readonly long _bytes;
    private nint _pointer;

    /// <summary>Allocates room for one tensor; the contents are undefined.</summary>
    public DeviceBuffer(Device device, Shape shape, DType dtype)
    {
        ArgumentNullException.ThrowIfNull(device);
        _device = device;
        _bytes = shape.ElementCount * dtype.Size();
        _pointer = device.Allocate(_bytes);
        View = new TensorView(_pointer, shape, dtype, device);
    }

    /// <summary>The tensor that fills the allocation.</summary>
    public TensorView View { get; }

    /// <summary>An F32 buffer filled with zeros.</summary>
    public static DeviceBuffer Zeros(Device device, Shape shape)
    {
        var buffer = new DeviceBuffer(device, shape, DType.F32);
        try
        {
            device.Clear(buffer.View);
            return buffer;
        }
        catch
        {
            buffer.Dispose();
            throw;
        }
    }

    /// <summary>An F32 buffer holding <paramref name="values"/>.</summary>
    public static DeviceBuffer Of(Device device, Shape shape, ReadOnlySpan<float> values)
    {
        var buffer = new DeviceBuffer(device, shape, DType.F32);
        try
        {
            buffer.View.CopyFrom(values);
            return buffer;
        }
        catch
        {
            buffer.Dispose();
            throw;
        }
    }

    /// <summary>A copy on <paramref name="device"/> of a view in host memory, of any size.</summary>
    public static DeviceBuffer CopyOf(Device device, TensorView host)
    {
        // One tensor may be larger than a span can cover.
        const int chunkBytes = 1 << 28;
        var buffer = new DeviceBuffer(device, host.Shape, host.DType);
        try
        {
            for (long at = 0; at < host.ByteCount; at += chunkBytes)
            {
                var shape = new Shape((int)Math.Min(chunkBytes, host.ByteCount - at));
                ReadOnlySpan<byte> bytes = new TensorView(host.Pointer + (nint)at, shape, DType.U8, host.Device).AsSpan<byte>();
                device.CopyFromHost(bytes, new TensorView(buffer.View.Pointer + (nint)at, shape, DType.U8, device));
            }

            return buffer;
        }
        catch
        {
            buffer.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        nint pointer = Interlocked.Exchange(ref _pointer, 0);
        if (pointer != 0) _device.Free(pointer, _bytes);
        GC.SuppressFinalize(this);
    }

    /// <summary>Returns the memory of a buffer that was never disposed.</summary>
    ~DeviceBuffer() => Dispose();
}
