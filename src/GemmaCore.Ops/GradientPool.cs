using System.Numerics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Memory for activation gradients. A gradient lives from its first writer to the replay of the operation that made the activation, so
/// a backward pass needs a few of them at a time; buffers are reused across blocks and steps.
/// </summary>
public sealed class GradientPool : IDisposable
{
    private readonly Device _device;
    private readonly Dictionary<nint, DeviceBuffer> _live = [];
    private readonly Dictionary<nint, TensorView> _views = [];
    private readonly SortedDictionary<long, Stack<DeviceBuffer>> _free = [];

    /// <summary>An empty pool on <paramref name="device"/>.</summary>
    public GradientPool(Device device) => _device = device;

    /// <summary>Sizes of the buffers that the pool holds and nobody uses, smallest first: what a pass needed, after it.</summary>
    public IReadOnlyList<long> FreeSizes => [.. _free.SelectMany(stack => Enumerable.Repeat(stack.Key, stack.Value.Count))];

    /// <summary>Takes buffers of these sizes in advance, so that no pass with gradients at most as large allocates.</summary>
    public void Reserve(IReadOnlyList<long> sizes)
    {
        ArgumentNullException.ThrowIfNull(sizes);
        Release();
        foreach (long bytes in sizes) Keep(bytes, NewBuffer(bytes));
    }

    /// <summary>Takes back every gradient, and gives the memory to the device.</summary>
    public void Release()
    {
        ReturnAll();
        foreach (Stack<DeviceBuffer> stack in _free.Values)
            foreach (DeviceBuffer buffer in stack) buffer.Dispose();
        _free.Clear();
    }

    /// <inheritdoc/>
    public void Dispose() => Release();

    /// <summary>Takes back every gradient, also those that a failed pass has left behind.</summary>
    public void ReturnAll()
    {
        foreach (DeviceBuffer buffer in _live.Values) GiveBack(buffer);
        _live.Clear();
        _views.Clear();
    }

    internal TensorView? Find(TensorView activation) => _views.TryGetValue(activation.Pointer, out TensorView view) ? view.Reshape(activation.Shape) : null;

    internal TensorView FindOrTake(TensorView activation, out bool accumulate)
    {
        if (Find(activation) is { } found)
        {
            accumulate = true;
            return found;
        }

        accumulate = false;
        long bytes = SizeClass(activation.ByteCount);
        DeviceBuffer buffer = TakeFree(bytes) ?? NewBuffer(bytes);
        var view = new TensorView(buffer.View.Pointer, activation.Shape, DType.F32, _device);
        _live.Add(activation.Pointer, buffer);
        _views.Add(activation.Pointer, view);
        return view;
    }

    internal bool TryMove(TensorView from, TensorView to)
    {
        if (_views.ContainsKey(to.Pointer) || !_live.Remove(from.Pointer, out DeviceBuffer? buffer)) return false;
        _views.Remove(from.Pointer, out TensorView view);
        _live.Add(to.Pointer, buffer);
        _views.Add(to.Pointer, view);
        return true;
    }

    internal void Return(TensorView activation)
    {
        _views.Remove(activation.Pointer);
        if (_live.Remove(activation.Pointer, out DeviceBuffer? buffer)) GiveBack(buffer);
    }

    // The smallest that is large enough: where a large batch went first, smaller ones need nothing more.
    private DeviceBuffer? TakeFree(long bytes)
    {
        foreach ((long size, Stack<DeviceBuffer> stack) in _free)
            if (size >= bytes && stack.TryPop(out DeviceBuffer? buffer)) return buffer;
        return null;
    }

    private DeviceBuffer NewBuffer(long bytes) => new(_device, new Shape(checked((int)(bytes / 64)), 64), DType.U8);

    private void GiveBack(DeviceBuffer buffer) => Keep(buffer.View.ByteCount, buffer);

    private void Keep(long bytes, DeviceBuffer buffer)
    {
        if (!_free.TryGetValue(bytes, out Stack<DeviceBuffer>? stack)) _free.Add(bytes, stack = new Stack<DeviceBuffer>());
        stack.Push(buffer);
    }

    // Quarter-octave classes: batches of slightly different lengths share buffers at a waste of at most a quarter.
    private static long SizeClass(long bytes)
    {
        bytes = Math.Max(bytes, 256);
        long step = 1L << Math.Max(6, BitOperations.Log2((ulong)bytes) - 2);
        return (bytes + step - 1) / step * step;
    }
}
