using GemmaCore.Checkpoints;
using GemmaCore.Models.Decoder;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Llama;

/// <summary>The LLaMA family (TinyLlama and kin) on the same operations as Gemma 3.</summary>
public sealed class LlamaModel : LanguageModel
{
    private const string Path = "model.language_model";

    private readonly Weights _weights;
    private readonly TensorView _norm;
    private readonly LlamaBlock[] _blocks;
    private readonly Action<int, TensorView, TensorView, Tape?> _forwardBlock;
    private DecoderStep? _current;

    private LlamaModel(LlamaConfig config, Weights weights, Device device)
        : base(config.Layout(), EmbeddingsOf(config, weights), HeadOf(config, weights), embeddingScale: 1)
    {
        Config = config;
        Device = device;
        _weights = weights;
        _blocks = new LlamaBlock[config.NumHiddenLayers];
        for (int i = 0; i < _blocks.Length; i++) _blocks[i] = LoadBlock(config, weights, i);
        _norm = weights.Floats($"{Path}.norm.weight", config.HiddenSize);
        _forwardBlock = (i, x, y, tape) => _blocks[i].Forward(x, _current!, y, tape);
    }

    /// <summary>The configuration as read.</summary>
    public LlamaConfig Config { get; }

    /// <inheritdoc/>
    public override Device Device { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<Linear> Linears => _weights.Linears;

    internal static LlamaModel Load(LlamaConfig config, CheckpointFolder checkpoint, Device device, WeightFormat format, WeightFormat tables)
    {
        var weights = new Weights(checkpoint, device, format, tables);
        try
        {
            return new LlamaModel(config, weights, device);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    private protected override TensorView ForwardBlocks(TensorView x, DecoderStep step, Tape? tape, bool recompute)
    {
        _current = step;
        x = BlockSequence.Run(x, _blocks.Length, "llama_block", step.Arena, tape, recompute, _forwardBlock);
        TensorView y = step.Arena.Take(x.Shape); // [T, D]
        RmsNorm.Forward(x, _norm, Config.RmsNormEps, 0, y, tape);
        return y;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _weights.Dispose();
    }

    private static WeightMatrix EmbeddingsOf(LlamaConfig config, Weights weights) =>
        weights.Table($"{Path}.embed_tokens", config.VocabSize, config.HiddenSize);

    private static WeightMatrix HeadOf(LlamaConfig config, Weights weights) => config.TieWordEmbeddings && !weights.Has("lm_head.weight")
        ? EmbeddingsOf(config, weights)
        : weights.Table("lm_head", config.VocabSize, config.HiddenSize);

    private static LlamaBlock LoadBlock(LlamaConfig config, Weights weights, int index)
    {
        string path = $"{Path}.layers.{index}";
        int d = config.HiddenSize, f = config.IntermediateSize, h = config.HeadDim;
        int n = config.NumAttentionHeads, kv = config.NumKeyValueHeads;
        return new LlamaBlock
        {
            InputLayernorm = weights.Floats($"{path}.input_layernorm.weight", d),
            PostAttentionLayernorm = weights.Floats($"{path}.post_attention_layernorm.weight", d),
            NormEps = config.RmsNormEps,
            SelfAttn = new GroupedQueryAttention
            {
                LayerIndex = index,
                QProj = weights.Linear($"{path}.self_attn.q_proj", d, n * h, config.AttentionBias),
                KProj = weights.Linear($"{path}.self_attn.k_proj", d, kv * h, config.AttentionBias),
                VProj = weights.Linear($"{path}.self_attn.v_proj", d, kv * h, config.AttentionBias),
                OProj = weights.Linear($"{path}.self_attn.o_proj", n * h, d, config.AttentionBias),
                HeadDim = h,
                Scale = 1 / MathF.Sqrt(h),
            },
            Mlp = new GatedMlp
            {
                GateProj = weights.Linear($"{path}.mlp.gate_proj", d, f, config.MlpBias),
                UpProj = weights.Linear($"{path}.mlp.up_proj", d, f, config.MlpBias),
                DownProj = weights.Linear($"{path}.mlp.down_proj", f, d, config.MlpBias),
                Activation = config.HiddenAct,
            },
        };
    }
}
