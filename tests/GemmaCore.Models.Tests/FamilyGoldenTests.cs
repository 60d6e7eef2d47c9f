using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Models.Clip;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>LLaMA, CLIP and the real widths of Gemma 3, on weights that the init formula makes: nothing to ship.</summary>
public sealed class FamilyGoldenTests : IDisposable
{
    private const ulong Seed = 2026;
    private const string RealDimensions = "real dimensions";
    private readonly string _folder = Path.Combine(Path.GetTempPath(), "gemmacore-family-" + Guid.NewGuid().ToString("N"));

    [Theory]
    [InlineData("tiny")]
    [InlineData("tinyllama_2layers")]
    public void Llama_equals_transformers(string name)
    {
        var config = (JsonObject)JsonNode.Parse(File.ReadAllText(Goldens.Path($"llama/{name}.config.json")))!;
        config["model_type"] = "llama";
        RandomCheckpoint.Write(new ModelPreset(name, config), _folder, Seed, DType.BF16);
        Dictionary<string, GoldenTensor> golden = GoldenTensors.Load(Goldens.Path($"llama/{name}.safetensors"));
        using var model = new EmbeddedModel(_folder);
        LogitsGoldenTests.Check("llama", $"llama/{name}.safetensors", "logits", model.Run([LogitsGoldenTests.Ids(golden["input_ids"])], []).Logits, golden["logits"].Floats);
    }

    [Fact]
    public void The_text_layers_of_medgemma_4b_equal_transformers_up_to_position_100039()
    {
        JsonObject config = ModelPreset.Find("gemma-3-1b")!.Config;
        config["vocab_size"] = 512;
        config["hidden_size"] = 2560;
        config["intermediate_size"] = 10240;
        config["num_hidden_layers"] = 2;
        config["num_attention_heads"] = 8;
        config["num_key_value_heads"] = 4;
        config["sliding_window"] = 64;
        config["max_position_embeddings"] = 131072;
        config["rope_scaling"] = new JsonObject { ["factor"] = 8.0, ["rope_type"] = "linear" };
        config["layer_types"] = new JsonArray("sliding_attention", "full_attention");
        RandomCheckpoint.Write(new ModelPreset("text_2560", config), _folder, Seed, DType.BF16);
        Dictionary<string, GoldenTensor> golden = GoldenTensors.Load(Goldens.Path("real/text_2560.safetensors"));
        int[] ids = LogitsGoldenTests.Ids(golden["input_ids"]);
        using var model = new EmbeddedModel(_folder);
        LogitsGoldenTests.Check(RealDimensions, "real/text_2560.safetensors", "logits", model.Run([ids], []).Logits, golden["logits"].Floats);
        LogitsGoldenTests.Check(RealDimensions, "real/text_2560.safetensors", "logits at positions 100000 to 100039", model.Run([ids[..40]], [], positionOffset: 100000).Logits, golden["logits_far"].Floats);
    }

    [Fact]
    public void The_vision_tower_of_medgemma_4b_equals_transformers_at_896_pixels()
    {
        ModelPreset preset = ModelPreset.Find("medgemma-4b")!;
        preset.Config["vision_config"]!["num_hidden_layers"] = 2;
        preset.Config["text_config"]!["num_hidden_layers"] = 1;
        preset.Config["text_config"]!["vocab_size"] = 8;
        preset.Config["text_config"]!["intermediate_size"] = 8;
        RandomCheckpoint.Write(preset, _folder, Seed, DType.BF16);
        using var model = new EmbeddedModel(_folder);
        float[] pixels = new float[3 * 896 * 896];
        ReproducibleWeights.Fill("pixel_values", Seed, 1, 0, 0, pixels);

        TensorView features = ImageEncoding.Encode(model.Model, [pixels], model.Arena);

        float[] ours = features.ToFloats(), every4 = [.. Enumerable.Range(0, 64).SelectMany(row => ours.AsSpan(row * 4 * 2560, 2560).ToArray())];
        float[] golden = GoldenTensors.Load(Goldens.Path("real/siglip_1152.safetensors"))["features_every_4"].Floats;
        LogitsGoldenTests.Check(RealDimensions, "real/siglip_1152.safetensors", "projected image features", every4, golden, allowed: 2e-4);
    }

    [Theory]
    [InlineData("tiny", 96, 192, 3, 6, 56)]
    [InlineData("vit_l14_2layers", 1024, 4096, 2, 16, 224)]
    public void Clip_equals_transformers(string name, int d, int f, int layers, int heads, int size)
    {
        var config = new JsonObject
        {
            ["model_type"] = "clip_vision_model", ["hidden_size"] = d, ["intermediate_size"] = f, ["num_hidden_layers"] = layers,
            ["num_attention_heads"] = heads, ["image_size"] = size, ["patch_size"] = 14,
        };
        SafetensorsWriter.WriteCheckpoint(_folder, [.. ClipTensors(d, f, layers, size / 14 * (size / 14) + 1)
            .Select(tensor => RandomCheckpoint.Plan(tensor, llama: false, Seed, DType.BF16))]);
        File.WriteAllText(Path.Combine(_folder, "config.json"), config.ToJsonString());
        using var device = new CpuDevice(2);
        using var arena = new Arena(device);
        using var encoder = new ClipEncoder(ClipConfig.Read(_folder), CheckpointFolder.Open(_folder, device), device);
        float[] pixels = new float[3 * size * size];
        ReproducibleWeights.Fill("pixel_values", Seed, 2, 0, 0, pixels);
        TensorView input = arena.Take(new Shape(1, 3, size, size));
        input.CopyFrom(pixels);

        (TensorView patches, TensorView pooled) = encoder.Forward(input, arena);

        Dictionary<string, GoldenTensor> golden = GoldenTensors.Load(Goldens.Path($"clip/{name}.safetensors"));
        LogitsGoldenTests.Check("clip", $"clip/{name}.safetensors", "pooled", pooled.ToFloats(), golden["pooled"].Floats);
        LogitsGoldenTests.Check("clip", $"clip/{name}.safetensors", "features", patches.ToFloats()[d..], golden["features"].Floats);
    }

    public void Dispose()
    {
        if (Directory.Exists(_folder)) Directory.Delete(_folder, recursive: true);
    }

    private static IEnumerable<PlannedTensor> ClipTensors(int d, int f, int layers, int tokens)
    {
        const string prefix = "vision_model.";
        yield return new(prefix + "embeddings.class_embedding", [d]);
        yield return new(prefix + "embeddings.patch_embedding.weight", [d, 3, 14, 14]);
        yield return new(prefix + "embeddings.position_embedding.weight", [tokens, d]);
        List<(string Name, int Out, int In)> linears = [];
        List<string> norms = [prefix + "pre_layrnorm", prefix + "post_layernorm"];
        for (int i = 0; i < layers; i++)
        {
            string layer = $"{prefix}encoder.layers.{i}.";
            norms.AddRange([layer + "layer_norm1", layer + "layer_norm2"]);
            foreach (string name in (string[])["q_proj", "k_proj", "v_proj", "out_proj"]) linears.Add((layer + "self_attn." + name, d, d));
            linears.AddRange([(layer + "mlp.fc1", f, d), (layer + "mlp.fc2", d, f)]);
        }

        foreach (string norm in norms)
        {
            yield return new(norm + ".weight", [d]);
            yield return new(norm + ".bias", [d]);
        }

        foreach ((string name, int outputs, int inputs) in linears)
        {
            yield return new(name + ".weight", [outputs, inputs]);
            yield return new(name + ".bias", [outputs]);
        }
    }
}
