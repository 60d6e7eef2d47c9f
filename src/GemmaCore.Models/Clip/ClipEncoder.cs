using GemmaCore.Checkpoints;
using GemmaCore.Models.Vision;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Clip;

/// <summary>CLIP's vision transformer (arXiv:2103.00020), with the features LLaVA takes from it, on the same block as SigLIP.</summary>
public sealed class ClipEncoder : IDisposable
{
    private const string Path = "model.vision_tower.vision_model";

    private readonly Weights _weights;
    private readonly TensorView _patchWeight, _positions, _classEmbedding;
    private readonly (TensorView Weight, TensorView Bias) _preLayernorm, _postLayernorm;
    private readonly VisionBlock[] _blocks;

    /// <summary>Takes the tower's weights from an open checkpoint, which it owns from then on.</summary>
    public ClipEncoder(ClipConfig config, CheckpointFolder checkpoint, Device device)
    {
        ArgumentNullException.ThrowIfNull(config);
        Config = config;
        _weights = new Weights(checkpoint, device);
        int d = config.HiddenSize, p = config.PatchSize;
        _patchWeight = _weights.Matrix($"{Path}.embeddings.patch_embedding.weight", d, 3, p, p).Reshape(new Shape(d, 3 * p * p));
        _positions = _weights.Floats($"{Path}.embeddings.position_embedding.weight", config.TokenCount, d);
        _classEmbedding = _weights.Floats($"{Path}.embeddings.class_embedding", d);
        _preLayernorm = _weights.LayerNorm($"{Path}.pre_layrnorm", d); // spelled so in every checkpoint
        _postLayernorm = _weights.LayerNorm($"{Path}.post_layernorm", d);
        _blocks = new VisionBlock[config.NumHiddenLayers];
        for (int i = 0; i < _blocks.Length; i++)
        {
            _blocks[i] = VisionBlocks.Load(
                _weights, $"{Path}.encoder.layers.{i}", d, config.IntermediateSize, config.NumAttentionHeads, config.HiddenAct, config.LayerNormEps);
        }
    }

    /// <summary>The configuration.</summary>
    public ClipConfig Config { get; }

    /// <summary>Every adaptable linear layer.</summary>
    public IReadOnlyList<Linear> Linears => _weights.Linears;

    /// <summary>Features of pictures.</summary>
    /// <param name="pixels">[images, 3, size, size] f32, normalised.</param>
    /// <param name="arena">Memory of the pass; the results live in it.</param>
    /// <returns>
    /// Patches: [images · tokens, D] hidden states after the last block but one, class token included in row 0 of each image (LLaVA's feature);
    /// Pooled: [images, D], the class token after the last block and the post-norm.
    /// </returns>
    public (TensorView Patches, TensorView Pooled) Forward(TensorView pixels, Arena arena)
    {
        ArgumentNullException.ThrowIfNull(arena);
        int images = pixels.Shape[0], tokens = Config.TokenCount, d = Config.HiddenSize;
        TensorView embedded = arena.Take(new Shape(images, tokens, d));
        PatchEmbed.Forward(pixels, _patchWeight, default, _positions, _classEmbedding, Config.PatchSize, embedded, arena);
        TensorView x = arena.Take(new Shape(images * tokens, d));
        LayerNorm.Forward(embedded.Reshape(x.Shape), _preLayernorm.Weight, _preLayernorm.Bias, Config.LayerNormEps, x, null);

        var step = new VisionStep(images, tokens, arena);
        TensorView beforeLast = x;
        foreach (VisionBlock block in _blocks)
        {
            beforeLast = x;
            x = arena.Take(x.Shape);
            block.Forward(beforeLast, step, x, null);
        }

        TensorView classRows = arena.TakeInts([.. Enumerable.Range(0, images).Select(image => image * tokens)]);
        TensorView first = arena.Take(new Shape(images, d)), pooled = arena.Take(first.Shape);
        GatherRows.Forward(x, classRows, first, null);
        LayerNorm.Forward(first, _postLayernorm.Weight, _postLayernorm.Bias, Config.LayerNormEps, pooled, null);
        return (beforeLast, pooled);
    }

    /// <inheritdoc/>
    public void Dispose() => _weights.Dispose();
}
