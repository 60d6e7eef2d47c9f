using GemmaCore.Checkpoints;
using GemmaCore.Models.Decoder;
using GemmaCore.Models.Siglip;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Gemma3;

/// <summary>Gemma 3, text-only or with its SigLIP tower (MedGemma 4B): arXiv:2503.19786, arXiv:2507.05201.</summary>
public sealed class Gemma3Model : LanguageModel
{
    private const string Path = "model.language_model";

    private readonly Weights _weights;
    private readonly TensorView _norm;
    private readonly Gemma3Block[] _blocks;
    private readonly (int Buffers, int Linears) _visionWeights;
    private SiglipEncoder? _vision;
    private MultimodalProjector? _projector;
    private readonly Action<int, TensorView, TensorView, Tape?> _forwardBlock;
    private DecoderStep? _current;

    private Gemma3Model(Gemma3Config config, Weights weights, Device device)
        : base(config.Layout(), EmbeddingsOf(config, weights), HeadOf(config, weights), MathF.Sqrt(config.HiddenSize))
    {
        Config = config;
        Device = device;
        _weights = weights;
        _blocks = new Gemma3Block[config.NumHiddenLayers];
        for (int i = 0; i < _blocks.Length; i++) _blocks[i] = LoadBlock(config, weights, i);
        _norm = weights.Floats($"{Path}.norm.weight", config.HiddenSize);
        _forwardBlock = (i, x, y, tape) => _blocks[i].Forward(x, _current!, y, tape);
        _visionWeights = weights.Position;
        if (config.VisionConfig is null) return;
        _vision = new SiglipEncoder(config.VisionConfig, weights);
        _projector = new MultimodalProjector(config, weights);
    }

    /// <summary>The configuration as read.</summary>
    public Gemma3Config Config { get; }

    /// <inheritdoc/>
    public override Device Device { get; }

    /// <inheritdoc/>
    public override int ImageTokenId => Config.ImageTokenIndex;

    /// <inheritdoc/>
    public override int TokensPerImage => Config.VisionConfig is null ? 0 : Config.MmTokensPerImage;

    /// <inheritdoc/>
    public override int ImageSize => Config.VisionConfig?.ImageSize ?? 0;

    /// <inheritdoc/>
    public override int PatchesPerImage => Config.VisionConfig is { } vision ? vision.PatchesPerSide * vision.PatchesPerSide : 0;

    /// <inheritdoc/>
    public override IReadOnlyList<Linear> Linears => _weights.Linears;

    /// <summary>Takes a model's weights from an open checkpoint, which it owns from then on.</summary>
    internal static Gemma3Model Load(Gemma3Config config, CheckpointFolder checkpoint, Device device, WeightFormat format, WeightFormat tables)
    {
        CheckImageTokens(config, checkpoint);
        var weights = new Weights(checkpoint, device, format, tables);
        try
        {
            return new Gemma3Model(config, weights, device);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override TensorView EncodeImages(TensorView pixels, Arena arena, Tape? tape, bool recompute = false)
    {
        if (_vision is null && Config.VisionConfig is not null) throw new InvalidOperationException("the vision tower has left memory; load the model again");
        if (_vision is null) return base.EncodeImages(pixels, arena, tape, recompute);
        return _projector!.Forward(_vision.Forward(pixels, arena, tape, recompute), arena, tape);
    }

    /// <inheritdoc/>
    public override void ReleaseVision()
    {
        if (_vision is null) return;
        if (Linears.Skip(_visionWeights.Linears).FirstOrDefault(layer => layer.Adapters.Count > 0) is { } adapted)
            throw new InvalidOperationException($"{adapted.Path} has an adapter: the vision tower is still needed");
        (_vision, _projector) = (null, null);
        _weights.Release(_visionWeights);
    }

    private protected override TensorView ForwardBlocks(TensorView x, DecoderStep step, Tape? tape, bool recompute)
    {
        _current = step;
        x = BlockSequence.Run(x, _blocks.Length, "gemma3_block", step.Arena, tape, recompute, _forwardBlock);
        TensorView y = step.Arena.Take(x.Shape); // [T, D]
        RmsNorm.Forward(x, _norm, Config.RmsNormEps, 1, y, tape);
        return y;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _weights.Dispose();
    }

    private static WeightMatrix EmbeddingsOf(Gemma3Config config, Weights weights) =>
        weights.Table($"{Path}.embed_tokens", config.VocabSize, config.HiddenSize);

    // A head of its own counts even when the configuration says "tied": fine-tunes that trained it are merged that way.
    private static WeightMatrix HeadOf(Gemma3Config config, Weights weights)
    {
        if (weights.Has("lm_head.weight")) return weights.Table("lm_head", config.VocabSize, config.HiddenSize);
        return config.TieWordEmbeddings
            ? EmbeddingsOf(config, weights)
            : throw new CheckpointException("config.json says tie_word_embeddings false, but the checkpoint holds no lm_head.weight");
    }

    private static Gemma3Block LoadBlock(Gemma3Config config, Weights weights, int index)
    {
        string path = $"{Path}.layers.{index}";
        int d = config.HiddenSize, f = config.IntermediateSize, h = config.HeadDim;
        int n = config.NumAttentionHeads, kv = config.NumKeyValueHeads;
        return new Gemma3Block
        {
            InputLayernorm = weights.Floats($"{path}.input_layernorm.weight", d),
            PostAttentionLayernorm = weights.Floats($"{path}.post_attention_layernorm.weight", d),
            PreFeedforwardLayernorm = weights.Floats($"{path}.pre_feedforward_layernorm.weight", d),
            PostFeedforwardLayernorm = weights.Floats($"{path}.post_feedforward_layernorm.weight", d),
            NormEps = config.RmsNormEps,
            SelfAttn = new GroupedQueryAttention
            {
                LayerIndex = index,
                QProj = weights.Linear($"{path}.self_attn.q_proj", d, n * h),
                KProj = weights.Linear($"{path}.self_attn.k_proj", d, kv * h),
                VProj = weights.Linear($"{path}.self_attn.v_proj", d, kv * h),
                OProj = weights.Linear($"{path}.self_attn.o_proj", n * h, d),
                QNorm = weights.Floats($"{path}.self_attn.q_norm.weight", h),
                KNorm = weights.Floats($"{path}.self_attn.k_norm.weight", h),
                NormEps = config.RmsNormEps,
                HeadDim = h,
                Scale = 1 / MathF.Sqrt(config.QueryPreAttnScalar),
            },
            Mlp = new GatedMlp
            {
                GateProj = weights.Linear($"{path}.mlp.gate_proj", d, f),
                UpProj = weights.Linear($"{path}.mlp.up_proj", d, f),
                DownProj = weights.Linear($"{path}.mlp.down_proj", f, d),
                Activation = config.HiddenActivation,
            },
        };
    }

    private static void CheckImageTokens(Gemma3Config config, CheckpointFolder checkpoint)
    {
        if (config.VisionConfig is not { } vision) return;
        if (ModelVariant.CanPool(vision.PatchesPerSide, config.MmTokensPerImage)) return;
        IEnumerable<int> possible = Enumerable.Range(1, vision.PatchesPerSide).Select(side => side * side).Where(tokens => ModelVariant.CanPool(vision.PatchesPerSide, tokens));
        string reason = $"mm_tokens_per_image {config.MmTokensPerImage} is impossible with {vision.PatchesPerSide} x {vision.PatchesPerSide} patches";
        checkpoint.Dispose();
        throw new CheckpointException($"config.json: {reason}; possible: {string.Join(", ", possible)}");
    }
}
