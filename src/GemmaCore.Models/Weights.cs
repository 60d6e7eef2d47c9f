using GemmaCore.Checkpoints;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>
/// Takes a model's weights out of a checkpoint: on the CPU matrices are views of the mapped file, on a card they are copied to it; small vectors (gains,
/// biases) are widened to f32 in memory that the model owns.
/// </summary>
internal sealed class Weights : IDisposable
{
    private readonly CheckpointFolder _checkpoint;
    private readonly Device _device;
    private readonly LinearWeights _linearWeights, _tableWeights;
    private readonly List<DeviceBuffer> _owned = [];
    private readonly Dictionary<string, WeightMatrix> _tables = [];

    /// <param name="checkpoint">Where they are; owned from now on.</param>
    /// <param name="device">Where they go.</param>
    /// <param name="format">How linear layers hold them.</param>
    /// <param name="tables">How embeddings and head hold them: as stored, or in rows of 8 bits.</param>
    public Weights(CheckpointFolder checkpoint, Device device, WeightFormat format = WeightFormat.AsStored, WeightFormat tables = WeightFormat.AsStored)
    {
        (_checkpoint, _device) = (checkpoint, device);
        _linearWeights = new LinearWeights(checkpoint, device, format, _owned);
        _tableWeights = new LinearWeights(checkpoint, device, tables, _owned);
    }

    /// <summary>Layers made so far, in order.</summary>
    public List<Linear> Linears { get; } = [];

    /// <summary>
    /// Where the weights taken from here on begin, for <see cref="Release"/>. Parts that may leave before the model does are taken last.
    /// </summary>
    public (int Buffers, int Linears) Position => (_owned.Count, Linears.Count);

    /// <summary>Gives back the memory of all weights taken since <paramref name="position"/>, and forgets their layers.</summary>
    public void Release((int Buffers, int Linears) position)
    {
        for (int i = position.Buffers; i < _owned.Count; i++) _owned[i].Dispose();
        _owned.RemoveRange(position.Buffers, _owned.Count - position.Buffers);
        Linears.RemoveRange(position.Linears, Linears.Count - position.Linears);
    }

    /// <summary>A matrix in its storage type.</summary>
    public TensorView Matrix(string name, params ReadOnlySpan<int> sizes)
    {
        TensorView stored = _checkpoint.Require(name, ShapeOf(sizes));
        if (_device is CpuDevice) return stored;
        DeviceBuffer buffer = DeviceBuffer.CopyOf(_device, stored);
        _owned.Add(buffer);
        return buffer.View;
    }

    /// <summary>The table of embeddings or the head, <paramref name="path"/><c>.weight</c> [V, D]; the same object when a tied one is asked for again.</summary>
    public WeightMatrix Table(string path, int vocabularySize, int hiddenSize)
    {
        if (_tables.TryGetValue(path, out WeightMatrix? table)) return table;
        table = _tableWeights.Read(path, new Shape(vocabularySize, hiddenSize), () => Matrix(path + ".weight", vocabularySize, hiddenSize));
        _tables.Add(path, table);
        return table;
    }

    /// <summary>A vector or table widened to f32.</summary>
    public TensorView Floats(string name, params ReadOnlySpan<int> sizes)
    {
        Shape shape = ShapeOf(sizes);
        if (!_device.IsRehearsal) return Own(shape, _checkpoint.ReadFloats(name, shape));
        _checkpoint.Require(name, shape);
        _owned.Add(new DeviceBuffer(_device, shape, DType.F32));
        return _owned[^1].View;
    }

    /// <summary>A linear layer <paramref name="path"/><c>.weight</c> [out, in] with an optional <c>.bias</c>.</summary>
    public Linear Linear(string path, int inputSize, int outputSize, bool bias = false)
    {
        WeightMatrix weight = _linearWeights.Read(path, new Shape(outputSize, inputSize), () => Matrix(path + ".weight", outputSize, inputSize));
        var linear = new Linear(path, weight, bias ? Floats(path + ".bias", outputSize) : default);
        Linears.Add(linear);
        return linear;
    }

    /// <summary>A LayerNorm's gain and bias.</summary>
    public (TensorView Weight, TensorView Bias) LayerNorm(string path, int size) => (Floats(path + ".weight", size), Floats(path + ".bias", size));

    /// <summary>Whether the checkpoint holds a tensor.</summary>
    public bool Has(string name) => _checkpoint.TryGet(name, out _);

    /// <summary>Memory that lives as long as the model.</summary>
    public TensorView Own(Shape shape, ReadOnlySpan<float> values)
    {
        DeviceBuffer buffer = DeviceBuffer.Of(_device, shape, values);
        _owned.Add(buffer);
        return buffer.View;
    }

    public void Dispose()
    {
        foreach (DeviceBuffer buffer in _owned) buffer.Dispose();
        _owned.Clear();
        _checkpoint.Dispose();
    }

    private static Shape ShapeOf(ReadOnlySpan<int> sizes) => sizes.Length switch
    {
        1 => new Shape(sizes[0]),
        2 => new Shape(sizes[0], sizes[1]),
        3 => new Shape(sizes[0], sizes[1], sizes[2]),
        _ => new Shape(sizes[0], sizes[1], sizes[2], sizes[3]),
    };
}
