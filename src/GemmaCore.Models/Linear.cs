using GemmaCore.Models.Lora;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>
/// A frozen matrix multiplication y = x·Wᵀ + b with any number of low-rank adapters on top. Blocks call it and never ask how the
/// weight is stored or whether it is adapted.
/// </summary>
public sealed class Linear
{
    private readonly List<LinearAdapter> _adapters = [];
    private Dictionary<LoraAdapter, LinearAdapter>? _choices;
    private AdapterRows? _rows;

    /// <summary>A linear layer over borrowed weights.</summary>
    /// <param name="path">Module path in the second-generation spelling, e.g. <c>model.language_model.layers.0.self_attn.q_proj</c>.</param>
    /// <param name="weight">[out, in].</param>
    /// <param name="bias">[out] f32, or default.</param>
    public Linear(string path, WeightMatrix weight, TensorView bias)
    {
        Path = path;
        Weight = weight;
        Bias = bias;
    }

    /// <summary>Module path: how adapters name this layer.</summary>
    public string Path { get; }

    /// <summary>[out, in].</summary>
    public WeightMatrix Weight { get; private set; }

    /// <summary>[out] f32, or default.</summary>
    public TensorView Bias { get; }

    /// <summary>Columns of x.</summary>
    public int InputSize => Weight.Shape[1];

    /// <summary>Columns of y.</summary>
    public int OutputSize => Weight.Shape[0];

    /// <summary>Adapters that take part in <see cref="Forward"/>.</summary>
    public IReadOnlyList<LinearAdapter> Adapters => _adapters;

    /// <summary>y = x·Wᵀ + b + Σ adapters, and for rows that chose an adapter of their own, that one too.</summary>
    /// <param name="x">[T, in] f32.</param>
    /// <param name="y">[T, out] f32.</param>
    /// <param name="arena">Scratch memory.</param>
    /// <param name="tape">Null in inference.</param>
    public void Forward(TensorView x, TensorView y, Arena arena, Tape? tape)
    {
        ForwardAll(x, y, arena, tape);
        if (_choices is null) return;
        // Apart from the product, whose sums then do not depend on who else is in the pass.
        foreach (AdapterRows.Segment segment in _rows!.Segments)
        {
            if (!_choices.TryGetValue(segment.Adapter, out LinearAdapter? chosen)) continue;
            int count = Math.Min(segment.RowCount, x.Shape[0]);
            Ops.Lora.Forward(x.Slice(segment.FirstRow, count), chosen.Weights, y.Slice(segment.FirstRow, count), arena, tape);
        }
    }

    private void ForwardAll(TensorView x, TensorView y, Arena arena, Tape? tape)
    {
        if (_adapters.Count == 1 && _adapters[0].ColumnScale.IsEmpty && Weight is DenseMatrix dense)
        {
            MatmulLora.Forward(x, dense.View, Bias, _adapters[0].Weights, y, arena, tape);
            return;
        }

        LinearAdapter? scaled = _adapters.Count == 1 && !_adapters[0].ColumnScale.IsEmpty ? _adapters[0] : null;
        Weight.Multiply(x, scaled is null ? Bias : default, y, tape);
        foreach (LinearAdapter adapter in _adapters) Ops.Lora.Forward(x, adapter.Weights, y, arena, tape);
        if (scaled is null) return;
        if (tape is not null) throw new NotSupportedException($"{Path}: DoRA adapters can be used for inference, not for training");
        ScaleColumns.Forward(y, scaled.ColumnScale, Bias);
    }

    /// <summary>Adds an adapter; its views must outlive the layer or its <see cref="Detach"/>.</summary>
    /// <exception cref="InvalidOperationException">A column-scaled (DoRA) adapter would share the layer with another one.</exception>
    public void Attach(LinearAdapter adapter)
    {
        ArgumentNullException.ThrowIfNull(adapter);
        bool scaled = !adapter.ColumnScale.IsEmpty || _adapters.Exists(a => !a.ColumnScale.IsEmpty);
        if (scaled && _adapters.Count > 0)
            throw new InvalidOperationException($"{Path}: a DoRA adapter cannot be combined with another adapter; merge one of them first");
        _adapters.Add(adapter);
    }

    /// <summary>Adds an adapter for the rows that <paramref name="rows"/> gives it, and no others.</summary>
    internal void AttachChoice(LoraAdapter adapter, LinearAdapter weights, AdapterRows rows)
    {
        _rows = rows;
        (_choices ??= []).Add(adapter, weights);
    }

    /// <summary>Removes what <see cref="AttachChoice"/> added.</summary>
    internal void DetachChoice(LoraAdapter adapter)
    {
        _choices?.Remove(adapter);
        if (_choices is { Count: 0 }) _choices = null;
    }

    /// <summary>Removes an adapter.</summary>
    public void Detach(LinearAdapter adapter) => _adapters.Remove(adapter);

    /// <summary>Replaces the weight (a trained copy from an adapter's modules_to_save, or a merged one).</summary>
    public void ReplaceWeight(WeightMatrix weight)
    {
        ArgumentNullException.ThrowIfNull(weight);
        Weight = weight.Shape == Weight.Shape ? weight : throw new ShapeException($"{Path}: the replacement weight must be {Weight.Shape}, got {weight}");
    }
}

/// <summary>A low-rank branch of a <see cref="Linear"/>, and for DoRA the factor m/n of every output column (arXiv:2402.09353).</summary>
/// <param name="Weights">A, B and the scale.</param>
/// <param name="ColumnScale">[out] f32, or default for plain LoRA.</param>
public sealed record LinearAdapter(LoraWeights Weights, TensorView ColumnScale);
