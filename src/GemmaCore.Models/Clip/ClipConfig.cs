using GemmaCore.Ops;

namespace GemmaCore.Models.Clip;

/// <summary>A CLIP vision <c>config.json</c>; properties are the Hugging Face keys, defaults those of CLIPVisionConfig.</summary>
public sealed record ClipConfig
{
    /// <summary>D.</summary>
    public int HiddenSize { get; init; } = 768;

    /// <summary>F.</summary>
    public int IntermediateSize { get; init; } = 3072;

    /// <summary>L.</summary>
    public int NumHiddenLayers { get; init; } = 12;

    /// <summary>N.</summary>
    public int NumAttentionHeads { get; init; } = 12;

    /// <summary>Side of the picture in pixels.</summary>
    public int ImageSize { get; init; } = 224;

    /// <summary>Side of a patch in pixels.</summary>
    public int PatchSize { get; init; } = 32;

    /// <summary>Epsilon of the norms.</summary>
    public float LayerNormEps { get; init; } = 1e-5f;

    /// <summary>Function in the perceptron.</summary>
    public Activation HiddenAct { get; init; } = Activation.QuickGelu;

    /// <summary>Patches and the class token.</summary>
    public int TokenCount => ImageSize / PatchSize * (ImageSize / PatchSize) + 1;

    /// <summary>Reads the folder's <c>config.json</c>: a vision model's own, or the <c>vision_config</c> of a larger one.</summary>
    public static ClipConfig Read(string folder)
    {
        ConfigJson file = ConfigJson.Open(folder);
        ConfigJson config = file.Object("vision_config") ?? file;
        var result = new ClipConfig
        {
            HiddenSize = config.Int("hidden_size", 768, 1, 1 << 16),
            IntermediateSize = config.Int("intermediate_size", 3072, 1, 1 << 18),
            NumHiddenLayers = config.Int("num_hidden_layers", 12, 1, 1024),
            NumAttentionHeads = config.Int("num_attention_heads", 12, 1, 1024),
            ImageSize = config.Int("image_size", 224, 1, 1 << 14),
            PatchSize = config.Int("patch_size", 32, 1, 1 << 14),
            LayerNormEps = config.Float("layer_norm_eps", 1e-5, 0, 1),
            HiddenAct = Activations.Read(config, "hidden_act", "quick_gelu"),
        };
        if (result.ImageSize % result.PatchSize != 0)
            throw config.Refuse("patch_size", $"{result.PatchSize} does not divide image_size, {result.ImageSize}");
        return result.HiddenSize % result.NumAttentionHeads == 0
            ? result
            : throw config.Refuse("num_attention_heads", $"{result.NumAttentionHeads} does not divide hidden_size, {result.HiddenSize}");
    }
}
