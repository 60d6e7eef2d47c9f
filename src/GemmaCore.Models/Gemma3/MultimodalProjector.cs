using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Gemma3;

/// <summary>Patch features → image tokens: average pooling, RMS norm, one matrix (stored [in, out], unlike a linear layer).</summary>
public sealed class MultimodalProjector
{
    private const string Path = "model.multi_modal_projector";

    private readonly TensorView _norm, _projection;
    private readonly int _side, _kernel;
    private readonly float _eps;

    internal MultimodalProjector(Gemma3Config config, Weights weights)
    {
        int d = config.VisionConfig!.HiddenSize;
        _norm = weights.Floats($"{Path}.mm_soft_emb_norm.weight", d);
        _projection = weights.Matrix($"{Path}.mm_input_projection_weight", d, config.HiddenSize);
        _side = config.VisionConfig.PatchesPerSide;
        _kernel = _side / (int)Math.Sqrt(config.MmTokensPerImage);
        _eps = config.VisionConfig.LayerNormEps;
    }

    /// <summary>[images · patches, vision D] → [images · tokens per image, text D].</summary>
    public TensorView Forward(TensorView patches, Arena arena, Tape? tape)
    {
        ArgumentNullException.ThrowIfNull(arena);
        int d = patches.Shape[1], images = patches.Shape[0] / (_side * _side), tokens = _side / _kernel * (_side / _kernel);
        TensorView pooled = arena.Take(new Shape(images, tokens, d));
        AveragePool.Forward(patches.Reshape(new Shape(images, _side * _side, d)), _side, _kernel, pooled, tape);
        TensorView rows = pooled.Reshape(new Shape(images * tokens, d)), normalised = arena.Take(rows.Shape);
        RmsNorm.Forward(rows, _norm, _eps, 1, normalised, tape);
        TensorView features = arena.Take(new Shape(images * tokens, _projection.Shape[1]));
        Matmul.ForwardInOut(normalised, _projection, features, tape);
        return features;
    }
}
