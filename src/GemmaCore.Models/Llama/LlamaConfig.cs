using GemmaCore.Models.Decoder;
using GemmaCore.Ops;

namespace GemmaCore.Models.Llama;

/// <summary>A LLaMA-family <c>config.json</c> (<c>model_type: llama</c>); properties are the Hugging Face keys.</summary>
public sealed record LlamaConfig
{
    /// <summary>V.</summary>
    public int VocabSize { get; init; }

    /// <summary>D.</summary>
    public int HiddenSize { get; init; }

    /// <summary>F.</summary>
    public int IntermediateSize { get; init; }

    /// <summary>L.</summary>
    public int NumHiddenLayers { get; init; }

    /// <summary>N.</summary>
    public int NumAttentionHeads { get; init; }

    /// <summary>K; N when the file has none.</summary>
    public int NumKeyValueHeads { get; init; }

    /// <summary>H; D / N when the file has none.</summary>
    public int HeadDim { get; init; }

    /// <summary>Epsilon of the norms.</summary>
    public float RmsNormEps { get; init; }

    /// <summary>Rotary positions.</summary>
    public RopeScaling Rope { get; init; }

    /// <summary>Positions the model was made for.</summary>
    public int MaxPositionEmbeddings { get; init; }

    /// <summary>Function of the gate.</summary>
    public Activation HiddenAct { get; init; }

    /// <summary>The head is the embedding table.</summary>
    public bool TieWordEmbeddings { get; init; }

    /// <summary>Biases on q, k, v and o.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Biases on gate, up and down.</summary>
    public bool MlpBias { get; init; }

    /// <summary>Reads the folder's <c>config.json</c>.</summary>
    public static LlamaConfig Read(string folder) => Read(ConfigJson.Open(folder));

    internal static LlamaConfig Read(ConfigJson config)
    {
        int heads = config.RequiredInt("num_attention_heads", 1, 1024), hidden = config.RequiredInt("hidden_size", 1, 1 << 16);
        var result = new LlamaConfig
        {
            VocabSize = config.RequiredInt("vocab_size", 1, 1 << 22),
            HiddenSize = hidden,
            IntermediateSize = config.RequiredInt("intermediate_size", 1, 1 << 18),
            NumHiddenLayers = config.RequiredInt("num_hidden_layers", 1, 1024),
            NumAttentionHeads = heads,
            NumKeyValueHeads = config.Int("num_key_value_heads", heads, 1, 1024),
            HeadDim = config.Int("head_dim", Math.Max(2, hidden / heads), 2, 1024),
            RmsNormEps = config.Float("rms_norm_eps", 1e-6, 0, 1),
            Rope = RopeScaling.Read(config, "full_attention", "rope_theta", 10_000, scaled: true),
            MaxPositionEmbeddings = config.Int("max_position_embeddings", 2048, 1, 1 << 26),
            HiddenAct = Activations.Read(config, "hidden_act", "silu"),
            TieWordEmbeddings = config.Bool("tie_word_embeddings", false),
            AttentionBias = config.Bool("attention_bias", false),
            MlpBias = config.Bool("mlp_bias", false),
        };
        return result.NumAttentionHeads % result.NumKeyValueHeads == 0
            ? result
            : throw config.Refuse("num_key_value_heads", $"{result.NumKeyValueHeads} does not divide num_attention_heads, {heads}");
    }

    internal DecoderLayout Layout()
    {
        float[] frequencies = Ops.Rope.InverseFrequencies(Rope.Theta, HeadDim, Rope.Factor);
        return new DecoderLayout
        {
            HiddenSize = HiddenSize,
            VocabularySize = VocabSize,
            QueryHeadCount = NumAttentionHeads,
            KvHeadCount = NumKeyValueHeads,
            HeadDim = HeadDim,
            MaxPositions = MaxPositionEmbeddings,
            Windows = new int[NumHiddenLayers],
            Frequencies = [.. Enumerable.Repeat(frequencies, NumHiddenLayers)],
        };
    }
}
