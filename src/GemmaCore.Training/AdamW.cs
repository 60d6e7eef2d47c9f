using GemmaCore.Models.Lora;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Training;

/// <summary>AdamW (arXiv:1711.05101): state here, arithmetic in <see cref="AdamwUpdate"/>.</summary>
public sealed class AdamW : IDisposable
{
    private readonly List<(LoraParameter Parameter, DeviceBuffer M, DeviceBuffer V)> _state = [];

    /// <summary>An optimiser at step 0 for the given parameters.</summary>
    public AdamW(IReadOnlyList<LoraParameter> parameters, float beta1, float beta2, float eps, float weightDecay)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        (Beta1, Beta2, Eps, WeightDecay) = (beta1, beta2, eps, weightDecay);
        foreach (LoraParameter parameter in parameters)
        {
            Device device = parameter.Value.Device;
            _state.Add((parameter, DeviceBuffer.Zeros(device, parameter.Value.Shape), DeviceBuffer.Zeros(device, parameter.Value.Shape)));
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
    public IEnumerable<(string Name, TensorView M, TensorView V)> State => _state.Select(item => (item.Parameter.Name, item.M.View, item.V.View));

    /// <summary>Applies the accumulated gradients, scaled, and clears them.</summary>
    public void Step(float learningRate, float gradientScale)
    {
        StepCount++;
        foreach ((LoraParameter parameter, DeviceBuffer m, DeviceBuffer v) in _state)
        {
            AdamwUpdate.Apply(
                parameter.Value, parameter.Gradient, m.View, v.View, learningRate, Beta1, Beta2, Eps, WeightDecay, StepCount, gradientScale);
            parameter.Gradient.Device.Clear(parameter.Gradient);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach ((_, DeviceBuffer m, DeviceBuffer v) in _state)
        {
            m.Dispose();
            v.Dispose();
        }

        _state.Clear();
    }
}
