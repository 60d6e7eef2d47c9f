using GemmaCore.Tensors;

namespace GemmaCore.Checkpoints;

/// <summary>Tensors of any shape that all read as zeros and share one piece of memory, which nobody touches and which therefore takes none.</summary>
internal sealed class HollowTensors(DType dtype, IReadOnlyDictionary<string, Shape> optional, IReadOnlyList<string> dense) : IDisposable
{
    private readonly CpuDevice _device = CpuDevice.Rehearsal();
    private readonly List<DeviceBuffer> _zeros = []; // the last is the largest; views of the others live on

    public bool TryGet(string name, out TensorView view)
    {
        bool found = optional.TryGetValue(name, out Shape shape);
        view = found ? Take(shape) : default;
        return found;
    }

    public TensorView Take(Shape shape)
    {
        long bytes = shape.ElementCount * dtype.Size();
        if (_zeros.Count == 0 || _zeros[^1].View.ByteCount < bytes) _zeros.Add(new DeviceBuffer(_device, shape, dtype));
        return new TensorView(_zeros[^1].View.Pointer, shape, dtype, _device);
    }

    // A part of the path, from dot to dot: a whole tower, one layer, or all layers of a name.
    public bool StaysDense(string modulePath) => dense.Any(name => $".{modulePath}.".Contains($".{name}.", StringComparison.Ordinal));

    public void Dispose()
    {
        foreach (DeviceBuffer buffer in _zeros) buffer.Dispose();
        _zeros.Clear();
        _device.Dispose();
    }
}
