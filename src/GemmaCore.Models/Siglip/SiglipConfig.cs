using GemmaCore.Ops;

namespace GemmaCore.Models.Siglip;

/// <summary>The <c>vision_config</c> of a Gemma 3 checkpoint; properties are the Hugging Face keys, defaults those of SiglipVisionConfig.</summary>
public sealed record SiglipConfig
{
    /// <summary>D.</summary>
    public int HiddenSize { get; init; } = 768;

    /// <summary>F.</summary>
    public int IntermediateSize { get; init; } = 3072;

    /// <summary>L.</summary>
    public int NumHiddenLayers { get; init; } = 12;

    /// <summary>N.</summary>
    public int NumAttentionHeads { get; init; } = 12;

    /// <summary>Colour channels.</summary>
    public int NumChannels { get; init; } = 3;

    /// <summary>Side of the picture in pixels.</summary>
    public int ImageSize { get; init; } = 224;

    /// <summary>Side of a patch in pixels.</summary>
    public int PatchSize { get; init; } = 16;

    /// <summary>Epsilon of the norms.</summary>
    public float LayerNormEps { get; init; } = 1e-6f;

    /// <summary>Function in the perceptron.</summary>
    public Activation HiddenAct { get; init; } = Activation.GeluTanh;

    /// <summary>Patches along one side.</summary>
    public int PatchesPerSide => ImageSize / PatchSize;

    internal static SiglipConfig Read(ConfigJson config)
    {
        var result = new SiglipConfig
        {
            HiddenSize = config.Int("hidden_size", 768, 1, 1 << 16),
            IntermediateSize = config.Int("intermediate_size", 3072, 1, 1 << 18),
            NumHiddenLayers = config.Int("num_hidden_layers", 12, 1, 1024),
            NumAttentionHeads = config.Int("num_attention_heads", 12, 1, 1024),
            NumChannels = config.Int("num_channels", 3, 1, 64),
            ImageSize = config.Int("image_size", 224, 1, 1 << 14),
            PatchSize = config.Int("patch_size", 16, 1, 1 << 14),
            LayerNormEps = config.Float("layer_norm_eps", 1e-6, 0, 1),
            HiddenAct = Activations.Read(config, "hidden_act", "gelu_pytorch_tanh"),
        };
        if (result.HiddenSize % result.NumAttentionHeads != 0)
            throw config.Refuse("num_attention_heads", $"{result.NumAttentionHeads} does not divide hidden_size, {result.HiddenSize}");
        if (result.ImageSize % result.PatchSize != 0)
            throw config.Refuse("patch_size", $"{result.PatchSize} does not divide image_size, {result.ImageSize}");
        return result;
    }
}
