using GemmaCore.Models.Decoder;
using GemmaCore.Models.Vision;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Siglip;

/// <summary>The SigLIP vision tower (arXiv:2303.15343) as Gemma 3 uses it: every patch's last hidden state after the post-norm, no pooling head.</summary>
public sealed class SiglipEncoder
{
    private const string Path = "model.vision_tower.vision_model";

    private readonly SiglipConfig _config;
    private readonly TensorView _patchWeight, _patchBias, _positions;
    private readonly (TensorView Weight, TensorView Bias) _postLayernorm;
    private readonly VisionBlock[] _blocks;

    internal SiglipEncoder(SiglipConfig config, Weights weights)
    {
        _config = config;
        int d = config.HiddenSize, f = config.IntermediateSize, p = config.PatchSize, side = config.PatchesPerSide;
        _patchWeight = weights.Matrix($"{Path}.embeddings.patch_embedding.weight", d, config.NumChannels, p, p)
            .Reshape(new Shape(d, config.NumChannels * p * p));
        _patchBias = weights.Floats($"{Path}.embeddings.patch_embedding.bias", d);
        _positions = weights.Floats($"{Path}.embeddings.position_embedding.weight", side * side, d);
        _postLayernorm = weights.LayerNorm($"{Path}.post_layernorm", d);
        _blocks = new VisionBlock[config.NumHiddenLayers];
        for (int i = 0; i < _blocks.Length; i++)
        {
            _blocks[i] = VisionBlocks.Load(
                weights, $"{Path}.encoder.layers.{i}", d, f, config.NumAttentionHeads, config.HiddenAct, config.LayerNormEps);
        }
    }

    /// <summary>Patch features.</summary>
    /// <param name="pixels">[images, 3, size, size] f32, normalised.</param>
    /// <param name="arena">Memory of the pass.</param>
    /// <param name="tape">Null in inference.</param>
    /// <param name="recompute">Recompute blocks in the backward pass.</param>
    /// <returns>[images · patches, D].</returns>
    public TensorView Forward(TensorView pixels, Arena arena, Tape? tape, bool recompute)
    {
        ArgumentNullException.ThrowIfNull(arena);
        int images = pixels.Shape[0], tokens = _config.PatchesPerSide * _config.PatchesPerSide, d = _config.HiddenSize;
        TensorView x = arena.Take(new Shape(images, tokens, d));
        PatchEmbed.Forward(pixels, _patchWeight, _patchBias, _positions, default, _config.PatchSize, x, arena);
        x = x.Reshape(new Shape(images * tokens, d));
        var step = new VisionStep(images, tokens, arena);
        x = BlockSequence.Run(
            x, _blocks.Length, "vision_block", arena, tape, recompute, (i, input, output, inner) => _blocks[i].Forward(input, step, output, inner));
        TensorView y = arena.Take(x.Shape);
        LayerNorm.Forward(x, _postLayernorm.Weight, _postLayernorm.Bias, _config.LayerNormEps, y, tape);
        return y;
    }
}
