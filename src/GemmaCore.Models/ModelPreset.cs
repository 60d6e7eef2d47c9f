using System.Text.Json;
using System.Text.Json.Nodes;

namespace GemmaCore.Models;

/// <summary>One tensor of a checkpoint that is about to be made.</summary>
/// <param name="Name">First-generation name, or the text-only one.</param>
/// <param name="Sizes">Its sizes.</param>
public sealed record PlannedTensor(string Name, int[] Sizes);

/// <summary>
/// Shapes of released models, for checkpoints with random weights (tests and benchmarks without a download). A preset is a <c>config.json</c> and
/// the list of tensors it implies.
/// </summary>
/// <param name="Name">How the command line names it.</param>
/// <param name="Config">The configuration file.</param>
public sealed record ModelPreset(string Name, JsonObject Config)
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, IndentSize = 2 };

    /// <summary>Names of all presets.</summary>
    public static IReadOnlyList<string> Names { get; } = ["tiny", "mini", "gemma-3-270m", "gemma-3-1b", "medgemma-4b", "tinyllama-1.1b"];

    /// <summary>True for the LLaMA family, whose norms store their gain whole.</summary>
    public bool IsLlama => Config["model_type"]!.GetValue<string>() == "llama";

    /// <summary>The configuration file's text.</summary>
    public string ConfigText => Config.ToJsonString(Indented) + "\n";

    /// <summary>The preset of that name; null when there is none.</summary>
    public static ModelPreset? Find(string name) => name switch
    {
        "tiny" => new(name, Multimodal(
            Text(128, 384, 6, 2, 1, 32, 4096, 8192, 8), Vision(144, 288, 4, 2, 112), imageTokens: 16, boi: 35, eoi: 36, image: 4032)),
        "mini" => new(name, TextOnly(Text(640, 2048, 8, 4, 1, 512, 32768, 32768, 1))),
        "gemma-3-270m" => new(name, TextOnly(Text(640, 2048, 18, 4, 1, 512, 262144, 32768, 1))),
        "gemma-3-1b" => new(name, TextOnly(Text(1152, 6912, 26, 4, 1, 512, 262144, 32768, 1))),
        "medgemma-4b" => new(name, Multimodal(
            Text(2560, 10240, 34, 8, 4, 1024, 262208, 131072, 8), Vision(1152, 4304, 27, 16, 896), imageTokens: 256, boi: 255999, eoi: 256000, image: 262144)),
        "tinyllama-1.1b" => new(name, new JsonObject
        {
            ["architectures"] = new JsonArray("LlamaForCausalLM"), ["model_type"] = "llama", ["hidden_size"] = 2048, ["intermediate_size"] = 5632,
            ["num_hidden_layers"] = 22, ["num_attention_heads"] = 32, ["num_key_value_heads"] = 4, ["vocab_size"] = 32000,
            ["max_position_embeddings"] = 2048, ["rms_norm_eps"] = 1e-5, ["hidden_act"] = "silu", ["tie_word_embeddings"] = false,
        }),
        _ => null,
    };

    /// <summary>The tensors a configuration implies, in the order of a checkpoint.</summary>
    public IReadOnlyList<PlannedTensor> Tensors()
    {
        if (IsLlama) return [.. LlamaTensors()];
        var text = (JsonObject)(Config["text_config"] ?? Config);
        bool multimodal = Config["vision_config"] is not null;
        IEnumerable<PlannedTensor> tensors = TextTensors(text, multimodal ? "language_model.model." : "model.");
        return multimodal ? [.. tensors, .. VisionTensors((JsonObject)Config["vision_config"]!, Int(text, "hidden_size"))] : [.. tensors];
    }

    private static JsonObject Text(int d, int f, int layers, int heads, int kv, int window, int vocabulary, int positions, int ropeFactor) => new()
    {
        ["model_type"] = "gemma3_text", ["hidden_size"] = d, ["intermediate_size"] = f, ["num_hidden_layers"] = layers, ["num_attention_heads"] = heads,
        ["num_key_value_heads"] = kv, ["head_dim"] = 256, ["query_pre_attn_scalar"] = 256, ["sliding_window"] = window, ["vocab_size"] = vocabulary,
        ["max_position_embeddings"] = positions, ["rms_norm_eps"] = 1e-6, ["rope_theta"] = 1000000.0, ["rope_local_base_freq"] = 10000.0,
        ["hidden_activation"] = "gelu_pytorch_tanh",
        ["rope_scaling"] = ropeFactor == 1 ? null : new JsonObject { ["factor"] = (double)ropeFactor, ["rope_type"] = "linear" },
    };

    private static JsonObject Vision(int d, int f, int layers, int heads, int size) => new()
    {
        ["model_type"] = "siglip_vision_model", ["hidden_size"] = d, ["intermediate_size"] = f, ["num_hidden_layers"] = layers,
        ["num_attention_heads"] = heads, ["image_size"] = size, ["patch_size"] = 14, ["vision_use_head"] = false,
    };

    private static JsonObject TextOnly(JsonObject text)
    {
        var config = new JsonObject { ["architectures"] = new JsonArray("Gemma3ForCausalLM") };
        foreach ((string key, JsonNode? value) in text) config[key] = value?.DeepClone();
        config["eos_token_id"] = new JsonArray(1, 106);
        config["bos_token_id"] = 2;
        config["pad_token_id"] = 0;
        return config;
    }

    private static JsonObject Multimodal(JsonObject text, JsonObject vision, int imageTokens, int boi, int eoi, int image) => new()
    {
        ["architectures"] = new JsonArray("Gemma3ForConditionalGeneration"), ["model_type"] = "gemma3", ["boi_token_index"] = boi,
        ["eoi_token_index"] = eoi, ["image_token_index"] = image, ["mm_tokens_per_image"] = imageTokens, ["eos_token_id"] = new JsonArray(1, 106),
        ["text_config"] = text, ["vision_config"] = vision,
    };

    private static int Int(JsonObject config, string key) => config[key]!.GetValue<int>();

    private static IEnumerable<PlannedTensor> TextTensors(JsonObject text, string prefix)
    {
        int d = Int(text, "hidden_size"), f = Int(text, "intermediate_size"), h = Int(text, "head_dim");
        int q = Int(text, "num_attention_heads") * h, kv = Int(text, "num_key_value_heads") * h;
        yield return new($"{prefix}embed_tokens.weight", [Int(text, "vocab_size"), d]);
        for (int i = 0; i < Int(text, "num_hidden_layers"); i++)
        {
            string layer = $"{prefix}layers.{i}.";
            yield return new(layer + "input_layernorm.weight", [d]);
            foreach (PlannedTensor tensor in Attention(layer, d, q, kv)) yield return tensor;
            yield return new(layer + "self_attn.q_norm.weight", [h]);
            yield return new(layer + "self_attn.k_norm.weight", [h]);
            yield return new(layer + "post_attention_layernorm.weight", [d]);
            yield return new(layer + "pre_feedforward_layernorm.weight", [d]);
            foreach (PlannedTensor tensor in Mlp(layer, d, f)) yield return tensor;
            yield return new(layer + "post_feedforward_layernorm.weight", [d]);
        }

        yield return new($"{prefix}norm.weight", [d]);
    }

    private static IEnumerable<PlannedTensor> VisionTensors(JsonObject vision, int textSize)
    {
        const string prefix = "vision_tower.vision_model.";
        int d = Int(vision, "hidden_size"), f = Int(vision, "intermediate_size"), p = Int(vision, "patch_size"), side = Int(vision, "image_size") / p;
        yield return new(prefix + "embeddings.patch_embedding.weight", [d, 3, p, p]);
        yield return new(prefix + "embeddings.patch_embedding.bias", [d]);
        yield return new(prefix + "embeddings.position_embedding.weight", [side * side, d]);
        for (int i = 0; i < Int(vision, "num_hidden_layers"); i++)
        {
            string layer = $"{prefix}encoder.layers.{i}.";
            foreach (string name in (string[])["layer_norm1", "layer_norm2"])
            {
                yield return new(layer + name + ".weight", [d]);
                yield return new(layer + name + ".bias", [d]);
            }

            foreach ((string name, int outputs, int inputs) in ((string, int, int)[])
            [
                ("self_attn.q_proj", d, d), ("self_attn.k_proj", d, d), ("self_attn.v_proj", d, d), ("self_attn.out_proj", d, d), ("mlp.fc1", f, d), ("mlp.fc2", d, f),
            ])
            {
                yield return new(layer + name + ".weight", [outputs, inputs]);
                yield return new(layer + name + ".bias", [outputs]);
            }
        }

        yield return new(prefix + "post_layernorm.weight", [d]);
        yield return new(prefix + "post_layernorm.bias", [d]);
        yield return new("multi_modal_projector.mm_soft_emb_norm.weight", [d]);
        yield return new("multi_modal_projector.mm_input_projection_weight", [d, textSize]);
    }

    private IEnumerable<PlannedTensor> LlamaTensors()
    {
        int d = Int(Config, "hidden_size"), f = Int(Config, "intermediate_size"), vocabulary = Int(Config, "vocab_size");
        int kv = d / Int(Config, "num_attention_heads") * Int(Config, "num_key_value_heads");
        yield return new("model.embed_tokens.weight", [vocabulary, d]);
        for (int i = 0; i < Int(Config, "num_hidden_layers"); i++)
        {
            string layer = $"model.layers.{i}.";
            yield return new(layer + "input_layernorm.weight", [d]);
            foreach (PlannedTensor tensor in Attention(layer, d, d, kv)) yield return tensor;
            yield return new(layer + "post_attention_layernorm.weight", [d]);
            foreach (PlannedTensor tensor in Mlp(layer, d, f)) yield return tensor;
        }

        yield return new("model.norm.weight", [d]);
        yield return new("lm_head.weight", [vocabulary, d]);
    }

    private static IEnumerable<PlannedTensor> Attention(string layer, int d, int q, int kv) =>
    [
        new(layer + "self_attn.q_proj.weight", [q, d]), new(layer + "self_attn.k_proj.weight", [kv, d]),
        new(layer + "self_attn.v_proj.weight", [kv, d]), new(layer + "self_attn.o_proj.weight", [d, q]),
    ];

    private static IEnumerable<PlannedTensor> Mlp(string layer, int d, int f) =>
    [
        new(layer + "mlp.gate_proj.weight", [f, d]), new(layer + "mlp.up_proj.weight", [f, d]), new(layer + "mlp.down_proj.weight", [d, f]),
    ];
}
