using GemmaCore.Models.Lora;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Training;

/// <summary>AdamW (arXiv:1711.05101): state here, arithmetic in <see cref="AdamwUpdate"/>.</summary>
public sealed class AdamW : IDisposable
{
    /// <summary>Elements from which a parameter's moments are kept in 8 bits; smaller ones hardly take memory (bitsandbytes' <c>min_8bit_size</c>).</summary>
    public const int SmallestQuantized = 4096;

    private readonly List<DeviceBuffer> _owned = [];
    private readonly List<ParameterState> _state = [];
    private TensorView _signed, _unsigned;

    /// <summary>An optimiser at step 0 for the given parameters.</summary>
    /// <param name="parameters">What it updates.</param>
    /// <param name="beta1">Decay of the first moment.</param>
    /// <param name="beta2">Decay of the second moment.</param>
    /// <param name="eps">Added to the root of the second moment.</param>
    /// <param name="weightDecay">Decoupled weight decay.</param>
    /// <param name="eightBit">
    /// Keep the moments of parameters of at least <see cref="SmallestQuantized"/> elements in 8 bits (arXiv:2110.02861): 2 bytes a parameter and 1/32 for magnitudes
    /// instead of 8 bytes.
    /// </param>
    public AdamW(IReadOnlyList<LoraParameter> parameters, float beta1, float beta2, float eps, float weightDecay, bool eightBit = false)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        (Beta1, Beta2, Eps, WeightDecay) = (beta1, beta2, eps, weightDecay);
        try
        {
            foreach (LoraParameter parameter in parameters)
            {
                bool isQuantized = eightBit && parameter.Value.Shape.ElementCount >= SmallestQuantized;
                _state.Add(isQuantized ? Quantized(parameter) : new ParameterState(parameter, Zeros(parameter, parameter.Value.Shape, DType.F32), Zeros(parameter, parameter.Value.Shape, DType.F32)));
            }
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

    /// <summary>
    /// Everything that has to be saved for a run to go on with the same bits: <c>exp_avg.NAME</c> and <c>exp_avg_sq.NAME</c> of every parameter, f32 or, in 8 bits,
    /// u8 with <c>.absmax</c> beside it.
    /// </summary>
    public IEnumerable<(string Name, TensorView View)> State
    {
        get
        {
            foreach (ParameterState item in _state)
            {
                string m = "exp_avg." + item.Parameter.Name, v = "exp_avg_sq." + item.Parameter.Name;
                yield return (m, item.M);
                yield return (v, item.V);
                if (!item.IsQuantized) continue;
                yield return (m + ".absmax", item.AbsmaxM);
                yield return (v + ".absmax", item.AbsmaxV);
            }
        }
    }

    /// <summary>Applies the accumulated gradients, scaled, and clears them.</summary>
    public void Step(float learningRate, float gradientScale)
    {
        StepCount++;
        foreach (ParameterState item in _state)
        {
            TensorView value = item.Parameter.Value, gradient = item.Parameter.Gradient;
            if (item.IsQuantized)
            {
                AdamwUpdate.Apply(
                    value, gradient, new QuantizedMoment(item.M, item.AbsmaxM, _signed), new QuantizedMoment(item.V, item.AbsmaxV, _unsigned), learningRate, Beta1,
                    Beta2, Eps, WeightDecay, StepCount, gradientScale);
            }
            else AdamwUpdate.Apply(value, gradient, item.M, item.V, learningRate, Beta1, Beta2, Eps, WeightDecay, StepCount, gradientScale);

            gradient.Device.Clear(gradient);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (DeviceBuffer buffer in _owned) buffer.Dispose();
        _owned.Clear();
        _state.Clear();
    }

    private ParameterState Quantized(LoraParameter parameter)
    {
        if (_signed.IsEmpty)
        {
            _signed = Map(parameter.Value.Device, DynamicMap.Signed.AsSpan());
            _unsigned = Map(parameter.Value.Device, DynamicMap.Unsigned.AsSpan());
        }

        Shape shape = parameter.Value.Shape, blocks = new(QuantizedMoment.BlockCount(shape.ElementCount));
        return new ParameterState(
            parameter, Zeros(parameter, shape, DType.U8), Zeros(parameter, shape, DType.U8), Zeros(parameter, blocks, DType.F32), Zeros(parameter, blocks, DType.F32));
    }

    private TensorView Map(Device device, ReadOnlySpan<float> values) => Own(DeviceBuffer.Of(device, new Shape(values.Length), values));

    private TensorView Zeros(LoraParameter parameter, Shape shape, DType type)
    {
        TensorView view = Own(new DeviceBuffer(parameter.Value.Device, shape, type));
        view.Device.Clear(view);
        return view;
    }

    private TensorView Own(DeviceBuffer buffer)
    {
        _owned.Add(buffer);
        return buffer.View;
    }

    /// <summary>A parameter and its moments; magnitudes only where they are in 8 bits.</summary>
    private sealed record ParameterState(LoraParameter Parameter, TensorView M, TensorView V, TensorView AbsmaxM = default, TensorView AbsmaxV = default)
    {
        public bool IsQuantized => M.DType == DType.U8;
    }
}
