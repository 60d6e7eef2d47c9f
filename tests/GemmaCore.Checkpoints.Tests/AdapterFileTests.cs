using System.Runtime.InteropServices;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Checkpoints.Tests;

public sealed class AdapterFileTests : IDisposable
{
    private const string Module = "model.language_model.layers.0.self_attn.q_proj", Key = "base_model.model." + Module;

    private readonly CpuDevice _device = new(1);
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _device.Dispose();
    }

    [Theory]
    [InlineData("all_linear_r8", 66, 132)]
    [InlineData("qv_list_r4", 20, 40)]
    [InlineData("patterns", 26, 52)]
    [InlineData("dora_r4", 20, 60)]
    [InlineData("text_only_r4_rslora", 42, 84)]
    public void Every_tensor_of_a_golden_adapter_belongs_to_a_targeted_layer(string adapter, int layers, int tensors)
    {
        using AdapterFile file = AdapterFile.Load(Goldens.Path("adapters/" + adapter), _device);
        Assert.Equal((layers, tensors), (file.Pairs.Count, file.TensorCount));
        Assert.Empty(file.SavedModules);
        foreach ((string module, AdapterPair pair) in file.Pairs)
        {
            Assert.True(file.Config.Targets(module), module);
            Assert.Equal(file.Config.RankFor(module), pair.A.Shape[0]);
            Assert.Equal(!file.Config.UseDora, pair.Magnitude.IsEmpty);
        }
    }

    [Theory]
    [InlineData("all_linear_r8_layout_A")]
    [InlineData("all_linear_r8_layout_C")]
    public void Every_key_layout_loads_to_the_same_matrices(string layout)
    {
        using AdapterFile expected = AdapterFile.Load(Goldens.Path("adapters/all_linear_r8"), _device), file = AdapterFile.Load(Goldens.Path("adapters/" + layout), _device);
        Assert.Equal(expected.Pairs.Keys.Order(), file.Pairs.Keys.Order());
        foreach ((string module, AdapterPair pair) in expected.Pairs)
        {
            Assert.Equal(pair.A.ToFloats(), file.Pairs[module].A.ToFloats());
            Assert.Equal(pair.B.ToFloats(), file.Pairs[module].B.ToFloats());
        }
    }

    [Theory]
    [InlineData("all_linear_r8", "all_linear_r8", NameGeneration.Second)]
    [InlineData("all_linear_r8", "all_linear_r8_layout_A", NameGeneration.First)]
    [InlineData("all_linear_r8", "all_linear_r8_layout_C", NameGeneration.Third)]
    [InlineData("text_only_r4_rslora", "text_only_r4_rslora", NameGeneration.Second)]
    [InlineData("patterns", "patterns", NameGeneration.Second)]
    [InlineData("dora_r4", "dora_r4", NameGeneration.Second)]
    public void Saved_again_an_adapter_has_the_golden_bytes_of_its_layout(string source, string golden, NameGeneration layout)
    {
        using (AdapterFile file = AdapterFile.Load(Goldens.Path("adapters/" + source), _device))
            AdapterFile.Save(_folder.Path, file.Config, [.. file.Pairs.Select(item => new AdapterTensor(item.Key, item.Value.A, item.Value.B, item.Value.Magnitude))], layout);
        foreach (string name in (string[])["adapter_model.safetensors", "adapter_config.json"])
            Assert.Equal(File.ReadAllBytes(Goldens.Path($"adapters/{golden}/{name}")), File.ReadAllBytes(_folder.File(name)));
        Assert.Equal(2, Directory.GetFiles(_folder.Path).Length);
    }

    [Theory]
    [InlineData("base_model.model.model.layers.0.self_attn.q_proj")]
    [InlineData("model.layers.0.self_attn.q_proj")]
    [InlineData("base_model.model.language_model.model.layers.0.self_attn.q_proj")]
    [InlineData("language_model.model.layers.0.self_attn.q_proj")]
    public void Text_only_paths_and_keys_without_prefix_load(string path)
    {
        Write("{\"r\":2}", (path + ".lora_A.weight", [2, 3]), (path + ".lora_B.weight", [4, 2]));
        using AdapterFile file = AdapterFile.Load(_folder.Path, _device);
        Assert.Equal([Module], file.Pairs.Keys);
    }

    [Theory]
    [InlineData("base_model.model.lm_head.weight", "lm_head.weight")]
    [InlineData("base_model.model.language_model.lm_head.weight", "lm_head.weight")]
    [InlineData("base_model.model.lm_head.modules_to_save.default.weight", "lm_head.weight")]
    [InlineData("base_model.model.language_model.model.embed_tokens.weight", "model.language_model.embed_tokens.weight")]
    [InlineData("base_model.model.model.embed_tokens.weight", "model.language_model.embed_tokens.weight")]
    [InlineData("base_model.model.vision_tower.vision_model.head.probe", "vision_tower.vision_model.head.probe")]
    public void Saved_modules_load_under_canonical_names_and_none_is_dropped(string key, string canonical)
    {
        Write("{\"r\":2,\"modules_to_save\":[\"lm_head\"]}", (key, [5, 3]));
        using AdapterFile file = AdapterFile.Load(_folder.Path, _device);
        Assert.Equal([canonical], file.SavedModules.Keys);
        Assert.Equal(new Shape(5, 3), file.SavedModules[canonical].Shape);
    }

    [Fact]
    public void Unsound_folders_are_refused_in_one_line()
    {
        Assert.Contains("adapter_config.json: not found", Refusal(), StringComparison.Ordinal);
        File.WriteAllText(_folder.File("adapter_config.json"), "{\"r\":2}");
        Assert.Contains("adapter_model.safetensors: not found", Refusal(), StringComparison.Ordinal);
        File.WriteAllText(_folder.File("adapter_model.bin"), "");
        Assert.Contains("adapter_model.bin is a Python pickle", Refusal(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"r\":2}", new[] { ".lora_A.weight" }, "lora_A and lora_B are not both there")]
    [InlineData("{\"r\":3}", new[] { ".lora_A.weight", ".lora_B.weight" }, "do not have rank 3, which adapter_config.json gives")]
    [InlineData("{\"r\":2,\"use_dora\":true}", new[] { ".lora_A.weight", ".lora_B.weight" }, "use_dora is True, but there is no magnitude vector")]
    [InlineData("{\"r\":2}", new[] { ".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector" }, "use_dora is False, but there is a magnitude vector")]
    [InlineData("{\"r\":2,\"use_dora\":true}", new[] { ".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector" }, "lora_magnitude_vector is [2, 2], expected [2]")]
    [InlineData("{\"r\":2}", new[] { ".lora_embedding_A" }, "lora_embedding_A' is not supported")]
    [InlineData("{\"r\":2}", new[] { ".lora_A.weight", ".lora_B.weight", ".lora_B.bias" }, "lora_B.bias' is not supported")]
    [InlineData("{\"r\":2}", new[] { ".lora_A.weight", ".lora_B.weight", ".lora_A.default.weight" }, "are the same matrix")]
    public void Tensors_that_make_no_pair_are_refused(string config, string[] endings, string reason)
    {
        Write(config, [.. endings.Select(ending => (Key + ending, new[] { 2, 2 }))]);
        Assert.Contains(reason, Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void Matrices_that_hold_no_numbers_are_refused()
    {
        File.WriteAllText(_folder.File("adapter_config.json"), "{\"r\":1}");
        SafetensorsWriter.Write(_folder.File("adapter_model.safetensors"),
            [new WritableTensor(Key + ".lora_A.weight", DType.F32, new Shape(1, 2), stream => stream.Write(MemoryMarshal.AsBytes<float>([1, float.NaN])))]);
        Assert.Contains("lora_A.weight' holds NaN or infinity at element 1", Refusal(), StringComparison.Ordinal);
        SafetensorsWriter.Write(_folder.File("adapter_model.safetensors"), [new WritableTensor(Key + ".lora_A.weight", DType.I8, new Shape(1, 2), stream => stream.Write(new byte[2]))]);
        Assert.Contains("lora_A.weight' is I8, expected F32, F16 or BF16", Refusal(), StringComparison.Ordinal);
    }

    private void Write(string config, params (string Name, int[] Sizes)[] tensors)
    {
        File.WriteAllText(_folder.File("adapter_config.json"), config);
        SafetensorsWriter.Write(
            _folder.File("adapter_model.safetensors"),
            [.. tensors.Select(tensor => new WritableTensor(
                tensor.Name, DType.F32, new Shape(tensor.Sizes[0], tensor.Sizes[1]), stream => stream.Write(new byte[4 * tensor.Sizes[0] * tensor.Sizes[1]])))]);
    }

    private string Refusal() => Assert.Throws<CheckpointException>(() => AdapterFile.Load(_folder.Path, _device)).Message;
}
