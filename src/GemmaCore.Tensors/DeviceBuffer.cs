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
        device.Clear(buffer.View);
        return buffer;
    }

    /// <summary>An F32 buffer holding <paramref name="values"/>.</summary>
    public static DeviceBuffer Of(Device device, Shape shape, ReadOnlySpan<float> values)
    {
        var buffer = new DeviceBuffer(device, shape, DType.F32);
        buffer.View.CopyFrom(values);
        return buffer;
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
