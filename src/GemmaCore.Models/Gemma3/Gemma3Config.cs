using GemmaCore.Models.Decoder;
using GemmaCore.Models.Siglip;
using GemmaCore.Ops;

namespace GemmaCore.Models.Gemma3;

/// <summary>
/// The text part of a Gemma 3 <c>config.json</c>; properties are the Hugging Face keys. Files are sparse: what is missing has the library's
/// default (Gemma3TextConfig of transformers 4.57).
/// </summary>
public sealed record Gemma3Config
{
    /// <summary>V.</summary>
    public int VocabSize { get; init; } = 262208;

    /// <summary>D.</summary>
    public int HiddenSize { get; init; } = 2304;

    /// <summary>F.</summary>
    public int IntermediateSize { get; init; } = 9216;

    /// <summary>L.</summary>
    public int NumHiddenLayers { get; init; } = 26;

    /// <summary>N.</summary>
    public int NumAttentionHeads { get; init; } = 8;

    /// <summary>K.</summary>
    public int NumKeyValueHeads { get; init; } = 4;

    /// <summary>H; never derived from hidden size and heads.</summary>
    public int HeadDim { get; init; } = 256;

    /// <summary>Scores are multiplied by this to the power −1/2.</summary>
    public float QueryPreAttnScalar { get; init; } = 256;

    /// <summary>Epsilon of every text norm.</summary>
    public float RmsNormEps { get; init; } = 1e-6f;

    /// <summary>Positions the model was made for.</summary>
    public int MaxPositionEmbeddings { get; init; } = 131072;

    /// <summary>Tokens a query of a sliding layer sees, itself included.</summary>
    public int SlidingWindow { get; init; } = 4096;

    /// <summary>Rotary positions of full-attention layers.</summary>
    public RopeScaling GlobalRope { get; init; } = new(1_000_000, 1);

    /// <summary>Rotary positions of sliding layers.</summary>
    public RopeScaling LocalRope { get; init; } = new(10_000, 1);

    /// <summary>Per layer: true for sliding attention.</summary>
    public IReadOnlyList<bool> IsSliding { get; init; } = [];

    /// <summary>Function of the gate.</summary>
    public Activation HiddenActivation { get; init; } = Activation.GeluTanh;

    /// <summary>The head is the embedding table.</summary>
    public bool TieWordEmbeddings { get; init; } = true;

    /// <summary>Vision tower; null for a text-only checkpoint.</summary>
    public SiglipConfig? VisionConfig { get; init; }

    /// <summary>Features an image becomes.</summary>
    public int MmTokensPerImage { get; init; } = 256;

    /// <summary>Id whose embeddings image features replace; −1 for text-only checkpoints.</summary>
    public int ImageTokenIndex { get; init; } = -1;

    /// <summary>Reads the folder's <c>config.json</c>.</summary>
    /// <exception cref="Checkpoints.CheckpointException">A value is missing, absurd, or asks for something GemmaCore does not compute.</exception>
    public static Gemma3Config Read(string folder) => Read(ConfigJson.Open(folder));

    internal static Gemma3Config Read(ConfigJson config)
    {
        ConfigJson text = config.Object("text_config") ?? config;
        var defaults = new Gemma3Config();
        int layers = text.Int("num_hidden_layers", defaults.NumHiddenLayers, 1, 1024);
        bool multimodal = config.Object("vision_config") is not null;
        if (text.Bool("use_bidirectional_attention", false))
            throw text.Refuse("use_bidirectional_attention", "embedding models with bidirectional text attention are not supported");
        if (text.Bool("attention_bias", false)) throw text.Refuse("attention_bias", "Gemma 3 attention with biases is not supported");
        if (text.Has("attn_logit_softcapping")) throw text.Refuse("attn_logit_softcapping", "soft-capping is not supported; no released Gemma 3 sets it");
        if (!multimodal && text.Has("final_logit_softcapping"))
            throw text.Refuse("final_logit_softcapping", "soft-capping is not supported; no released Gemma 3 sets it");
        var result = new Gemma3Config
        {
            VocabSize = text.Int("vocab_size", defaults.VocabSize, 1, 1 << 22),
            HiddenSize = text.Int("hidden_size", defaults.HiddenSize, 1, 1 << 16),
            IntermediateSize = text.Int("intermediate_size", defaults.IntermediateSize, 1, 1 << 18),
            NumHiddenLayers = layers,
            NumAttentionHeads = text.Int("num_attention_heads", defaults.NumAttentionHeads, 1, 1024),
            NumKeyValueHeads = text.Int("num_key_value_heads", defaults.NumKeyValueHeads, 1, 1024),
            HeadDim = text.Int("head_dim", defaults.HeadDim, 2, 1024),
            QueryPreAttnScalar = text.Float("query_pre_attn_scalar", defaults.QueryPreAttnScalar, 1e-3, 1e6),
            RmsNormEps = text.Float("rms_norm_eps", 1e-6, 0, 1),
            MaxPositionEmbeddings = text.Int("max_position_embeddings", defaults.MaxPositionEmbeddings, 1, 1 << 26),
            SlidingWindow = text.Int("sliding_window", defaults.SlidingWindow, 1, 1 << 26),
            GlobalRope = RopeScaling.Read(text, "full_attention", "rope_theta", 1_000_000, scaled: true),
            LocalRope = RopeScaling.Read(text, "sliding_attention", "rope_local_base_freq", 10_000, scaled: false),
            IsSliding = LayerKinds(text, layers),
            HiddenActivation = Activations.Read(text, "hidden_activation", "gelu_pytorch_tanh"),
            TieWordEmbeddings = config.Bool("tie_word_embeddings", text.Bool("tie_word_embeddings", true)),
            VisionConfig = multimodal ? SiglipConfig.Read(config.Object("vision_config")!.Value) : null,
            MmTokensPerImage = config.Int("mm_tokens_per_image", 256, 1, 1 << 16),
            ImageTokenIndex = multimodal ? config.Int("image_token_index", config.Int("image_token_id", 262144, 0, 1 << 22), 0, 1 << 22) : -1,
        };
        if (result.NumAttentionHeads % result.NumKeyValueHeads != 0)
            throw text.Refuse("num_key_value_heads", $"{result.NumKeyValueHeads} does not divide num_attention_heads, {result.NumAttentionHeads}");
        if (result.HeadDim % 2 != 0) throw text.Refuse("head_dim", $"{result.HeadDim} is odd; rotary positions need pairs");
        return result;
    }

    internal DecoderLayout Layout()
    {
        float[] global = Rope.InverseFrequencies(GlobalRope.Theta, HeadDim, GlobalRope.Factor);
        float[] local = Rope.InverseFrequencies(LocalRope.Theta, HeadDim, LocalRope.Factor);
        return new DecoderLayout
        {
            HiddenSize = HiddenSize,
            VocabularySize = VocabSize,
            QueryHeadCount = NumAttentionHeads,
            KvHeadCount = NumKeyValueHeads,
            HeadDim = HeadDim,
            MaxPositions = MaxPositionEmbeddings,
            Windows = [.. IsSliding.Select(sliding => sliding ? SlidingWindow : 0)],
            Frequencies = [.. IsSliding.Select(sliding => sliding ? local : global)],
        };
    }

    private static bool[] LayerKinds(ConfigJson text, int layers)
    {
        if (text.TextList("layer_types") is { } types)
        {
            if (types.Count != layers) throw text.Refuse("layer_types", $"{types.Count} entries for {layers} layers");
            return [.. types.Select(type => type switch
            {
                "sliding_attention" => true,
                "full_attention" => false,
                _ => throw text.Refuse("layer_types", $"'{type}' is neither sliding_attention nor full_attention"),
            })];
        }

        int pattern = text.Int("sliding_window_pattern", text.Int("_sliding_window_pattern", 6, 1, 1024), 1, 1024);
        return [.. Enumerable.Range(0, layers).Select(layer => (layer + 1) % pattern != 0)];
    }
}
