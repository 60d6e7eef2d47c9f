using System.Text.Json.Nodes;
using GemmaCore.Models;
using GemmaCore.Tensors;

namespace GemmaCore.Testing;

/// <summary>A folder with a random text-only Gemma 3 of two layers, one of them with a sliding window; deleted at the end.</summary>
public sealed class SmallModel : IDisposable
{
    private static readonly JsonObject Config = new()
    {
        ["architectures"] = new JsonArray("Gemma3ForCausalLM"), ["model_type"] = "gemma3_text", ["hidden_size"] = 32, ["intermediate_size"] = 48,
        ["num_hidden_layers"] = 2, ["num_attention_heads"] = 2, ["num_key_value_heads"] = 1, ["head_dim"] = 32, ["query_pre_attn_scalar"] = 32,
        ["sliding_window"] = 4, ["layer_types"] = new JsonArray("sliding_attention", "full_attention"), ["vocab_size"] = 67, ["max_position_embeddings"] = 64,
        ["rms_norm_eps"] = 1e-6, ["rope_theta"] = 1000000.0, ["rope_local_base_freq"] = 10000.0, ["hidden_activation"] = "gelu_pytorch_tanh",
        ["rope_scaling"] = null, ["eos_token_id"] = new JsonArray(1), ["bos_token_id"] = 2, ["pad_token_id"] = 0,
    };

    public SmallModel() => RandomCheckpoint.Write(new ModelPreset("small", (JsonObject)Config.DeepClone()), Folder, seed: 3, DType.BF16);

    public string Folder { get; } = Path.Combine(Path.GetTempPath(), "gemmacore-small-" + Guid.NewGuid().ToString("N"));

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
