using GemmaCore.Models.Lora;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Training;

/// <summary>AdamW (arXiv:1711.05101): state here, arithmetic in <see cref="AdamwUpdate"/>.</summary>
public sealed class AdamW : IDisposable
{
    private readonly List<DeviceBuffer> _owned = [];
    private readonly List<(LoraParameter Parameter, TensorView M, TensorView V)> _state = [];

    /// <summary>An optimiser at step 0 for the given parameters.</summary>
    public AdamW(IReadOnlyList<LoraParameter> parameters, float beta1, float beta2, float eps, float weightDecay)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        (Beta1, Beta2, Eps, WeightDecay) = (beta1, beta2, eps, weightDecay);
        try
        {
            foreach (LoraParameter parameter in parameters) _state.Add((parameter, Moment(parameter), Moment(parameter)));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Decay of the first moment.</summary>
    public float Beta1 { get; }

    /// <summary>Decay of the second moment.</summary>
    public float Beta2 { get; }

    /// <summary>Added to the root of the second moment.</summary>
    public float Eps { get; }

    /// <summary>Decoupled weight decay.</summary>
    public float WeightDecay { get; }

    /// <summary>Updates done.</summary>
    public int StepCount { get; set; }

    /// <summary>First and second moments by parameter name, for saving and resuming.</summary>
    public IEnumerable<(string Name, TensorView M, TensorView V)> State => _state.Select(item => (item.Parameter.Name, item.M, item.V));

    /// <summary>Applies the accumulated gradients, scaled, and clears them.</summary>
    public void Step(float learningRate, float gradientScale)
    {
        StepCount++;
        foreach ((LoraParameter parameter, TensorView m, TensorView v) in _state)
        {
            AdamwUpdate.Apply(
                parameter.Value, parameter.Gradient, m, v, learningRate, Beta1, Beta2, Eps, WeightDecay, StepCount, gradientScale);
            parameter.Gradient.Device.Clear(parameter.Gradient);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (DeviceBuffer buffer in _owned) buffer.Dispose();
        _owned.Clear();
        _state.Clear();
    }

    private TensorView Moment(LoraParameter parameter)
    {
        DeviceBuffer buffer = DeviceBuffer.Zeros(parameter.Value.Device, parameter.Value.Shape);
        _owned.Add(buffer);
        return buffer.View;
    }
}
