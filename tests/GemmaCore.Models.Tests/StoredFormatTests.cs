using System.Text;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>What the linear layers hold decides: what the configuration says of them, and what somebody asks for, has to be the same.</summary>
public sealed class StoredFormatTests : IDisposable
{
    private const string Layer = "language_model.model.layers.0.mlp.down_proj", State = Layer + ".weight.quant_state.bitsandbytes__nf4";
    private readonly string _folder = Path.Combine(Path.GetTempPath(), "gemmacore-formats-" + Guid.NewGuid().ToString("N"));
    private readonly CpuDevice _device = new(2);

    [Fact]
    public void Another_format_than_the_tensors_have_is_refused_where_the_configuration_says_nothing()
    {
        Quantise(WeightFormat.Nf4);
        Configure(config => config.AsObject().Remove("quantization_config"));
        Assert.Contains("quantised already, in nf4, and int8 was asked for", Refusal(WeightFormat.Int8), StringComparison.Ordinal);
        using LanguageModel model = ModelFolder.Load(_folder, _device, WeightFormat.Nf4);
        Assert.All(model.Linears, layer => Assert.Equal("nf4", layer.Weight.Format));
    }

    [Theory]
    [InlineData(WeightFormat.Nf4, """{"load_in_8bit": true}""", "quantization_config: says int8, but linear layers are in nf4, 'language_model.model.layers.")]
    [InlineData(WeightFormat.Int8, """{"load_in_4bit": true}""", "quantization_config: says nf4, but linear layers are in int8, '")]
    [InlineData(WeightFormat.AsStored, """{"load_in_4bit": true}""", "quantization_config: says nf4, but no linear layer has codes of it; take it out if they are dense")]
    [InlineData(WeightFormat.Nf4, """{"load_in_4bit": true, "load_in_8bit": true}""", "load_in_4bit: is true, and so is load_in_8bit")]
    public void A_configuration_that_says_something_else_than_the_tensors_is_refused(WeightFormat held, string settings, string complaint)
    {
        Quantise(held);
        Configure(config => config["quantization_config"] = JsonNode.Parse(settings));
        foreach (WeightFormat asked in (WeightFormat[])[WeightFormat.AsStored, WeightFormat.Nf4, WeightFormat.Int8])
            Assert.Contains(complaint, Refusal(asked), StringComparison.Ordinal);
    }

    [Fact]
    public void Layers_of_two_formats_are_refused_by_the_name_of_the_odd_one()
    {
        Quantise(WeightFormat.Int8);
        List<WritableTensor> odd = [];
        using SafetensorsFile int8 = SafetensorsFile.Open(Path.Combine(_folder, "model.safetensors"), _device);
        foreach (string name in int8.Header.Tensors.Keys.Where(name => name.StartsWith(Layer, StringComparison.Ordinal))) odd.Add(WritableTensor.Of(name, int8.View(name)));
        string other = _folder + "-nf4";
        try
        {
            Quantise(WeightFormat.Nf4, other);
            Rewrite(other, tensors => [.. tensors.Where(tensor => !tensor.Name.StartsWith(Layer, StringComparison.Ordinal)), .. odd]);
            Assert.Contains($"tensor '{Layer}.weight' is in int8 and 'language_model.model.layers.", Refusal(WeightFormat.AsStored, other), StringComparison.Ordinal);
            Assert.Contains("mixed formats are not supported", Refusal(WeightFormat.AsStored, other), StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(other, recursive: true);
        }
    }

    [Fact]
    public void A_layer_with_the_marks_of_two_formats_is_refused()
    {
        Quantise(WeightFormat.Nf4);
        Rewrite(_folder, tensors => [.. tensors, new WritableTensor(Layer + ".SCB", DType.F32, new Shape(128), stream => stream.Write(new byte[512]))]);
        string message = Refusal(WeightFormat.AsStored);
        Assert.Contains($"tensor '{Layer}.weight' has a quant_state (4 bits) and an SCB (int8) beside it", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(WeightFormat.Nf4)]
    [InlineData(WeightFormat.Int8Group)]
    public void Embeddings_in_8_bit_rows_stand_beside_any_format(WeightFormat format)
    {
        Quantise(format, tables: WeightFormat.Int8);
        using LanguageModel model = ModelFolder.Load(_folder, _device, format);
        Assert.IsType<Ops.Int8Matrix>(model.Embeddings);
    }

    [Theory]
    [InlineData("num_bits", "4", "config_groups.group_0.weights.num_bits: 4 of compressed-tensors is not supported, only 8; use the original model with --quantize int8-128")]
    [InlineData("group_size", "64", "weights.group_size: 64 of")]
    [InlineData("group_size", "null", "weights.group_size: none of")]
    [InlineData("type", "\"float\"", "weights.type: 'float' of")]
    [InlineData("symmetric", "false", "weights.symmetric: false of")]
    [InlineData("strategy", "\"channel\"", "weights.strategy: 'channel' of")]
    [InlineData("dynamic", "true", "weights.dynamic: true of")]
    [InlineData("actorder", "\"group\"", "weights.actorder: 'group' of")]
    public void Settings_of_the_weights_that_are_computed_otherwise_are_refused_by_name(string key, string value, string complaint) =>
        RefuseGrouped(settings => settings["config_groups"]!["group_0"]!["weights"]![key] = JsonNode.Parse(value), complaint);

    [Theory]
    [InlineData("kv_cache_scheme", """{"num_bits": 8}""", "quantization_config.kv_cache_scheme: {'num_bits':8} of")]
    [InlineData("transform_config", """{"config_groups": {}}""", "quantization_config.transform_config: ")]
    [InlineData("sparsity_config", """{"format": "sparse-24-bitmask"}""", "quantization_config.sparsity_config: ")]
    [InlineData("config_groups", "{}", "config_groups: is missing or empty")]
    [InlineData("format", "null", "quantization_config.format: none of compressed-tensors is not supported, only 'int-quantized'")]
    public void Settings_that_go_beyond_the_weights_are_refused_by_name(string key, string value, string complaint) =>
        RefuseGrouped(settings => settings[key] = JsonNode.Parse(value), complaint);

    [Theory]
    [InlineData("group_0", "input_activations", "group_0.input_activations: {'num_bits':8} of")]
    [InlineData("group_0", "output_activations", "group_0.output_activations: ")]
    [InlineData("group_1", "weights", "config_groups.group_1: is a second group of settings beside group_0")]
    public void Quantised_activations_and_second_groups_are_refused_by_name(string group, string key, string complaint) => RefuseGrouped(
        settings =>
        {
            JsonObject groups = settings["config_groups"]!.AsObject();
            if (!groups.ContainsKey(group)) groups[group] = new JsonObject();
            groups[group]![key] = new JsonObject { ["num_bits"] = 8 };
        }, complaint);

    [Theory]
    [InlineData("\"shape\": [128, 384]", "\"shapes\": 0", "has no shape in its quant_state; download the checkpoint again")]
    [InlineData("\"shape\": [128, 384]", "\"shape\": [128.5, 384]", "is [128.5, 384] by its quant_state, expected [128, 384]")]
    [InlineData("\"shape\": [128, 384]", "\"shape\": \"all\"", "is all by its quant_state, expected [128, 384]")]
    [InlineData("\"nested_offset\"", "\"lost\"", "has no nested_offset in its quant_state, but a nested_absmax beside it")]
    [InlineData("\"nested_offset\": ", "\"nested_offset\": \"x\", \"lost\": ", "has nested_offset x in its quant_state, expected a number")]
    [InlineData("{", "[{", "has a quant_state that cannot be read: it is not a JSON object")]
    [InlineData("}", "", "has a quant_state that cannot be read: it is not a JSON object")]
    public void A_damaged_state_is_told_in_words_of_its_own(string text, string damage, string complaint)
    {
        Quantise(WeightFormat.Nf4);
        string state;
        using (SafetensorsFile file = SafetensorsFile.Open(Path.Combine(_folder, "model.safetensors"), _device)) state = Encoding.UTF8.GetString(file.View(State).AsSpan<byte>());
        string damaged = state.Replace(text, damage, StringComparison.Ordinal);
        byte[] bytes = Encoding.UTF8.GetBytes(damaged.StartsWith('[') ? damaged + "]" : damaged);
        Rewrite(_folder, tensors => [.. tensors.Where(tensor => tensor.Name != State), new WritableTensor(State, DType.U8, new Shape(bytes.Length), stream => stream.Write(bytes))]);
        string message = Refusal(WeightFormat.AsStored);
        Assert.Contains($"tensor '{Layer}.weight' {complaint}", message, StringComparison.Ordinal);
        Assert.All((string[])["dictionary", "type 'Object'", "BytePosition"], words => Assert.DoesNotContain(words, message, StringComparison.Ordinal));
    }

    // The folder spells its names as the hub does, not as GemmaCore does.
    [Theory]
    [InlineData("", "' is missing, though what belongs to it is there; download the checkpoint again")]
    [InlineData(".nested_absmax", "' lacks '" + Layer + ".weight.nested_absmax'; download the checkpoint again")]
    [InlineData(".quant_map", "' lacks '" + Layer + ".weight.quant_map'")]
    public void A_missing_tensor_is_told_in_the_spelling_of_the_file(string suffix, string complaint)
    {
        Quantise(WeightFormat.Nf4);
        Rewrite(_folder, tensors => [.. tensors.Where(tensor => tensor.Name != Layer + ".weight" + suffix)]);
        Assert.Contains($"tensor '{Layer}.weight{complaint}", Refusal(WeightFormat.AsStored), StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _device.Dispose();
        if (Directory.Exists(_folder)) Directory.Delete(_folder, recursive: true);
    }

    private string Refusal(WeightFormat asked, string? folder = null) =>
        Assert.Throws<CheckpointException>(() => ModelFolder.Load(folder ?? _folder, _device, asked)).Message;

    private void RefuseGrouped(Action<JsonNode> change, string complaint)
    {
        Quantise(WeightFormat.Int8Group);
        Configure(config => change(config["quantization_config"]!));
        Assert.Contains(complaint, Refusal(WeightFormat.AsStored), StringComparison.Ordinal);
    }

    private void Quantise(WeightFormat format, string? folder = null, WeightFormat tables = WeightFormat.AsStored)
    {
        folder ??= _folder;
        string source = Goldens.DemoPath("model");
        if (format == WeightFormat.AsStored)
        {
            Directory.CreateDirectory(folder);
            foreach (string file in Directory.GetFiles(source)) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
            return;
        }

        using LanguageModel model = ModelFolder.Load(source, _device, format, tables);
        QuantizedCheckpoint.Write(model, source, folder);
    }

    private void Configure(Action<JsonNode> change) => ConfigFile.Change(_folder, change);

    private void Rewrite(string folder, Func<IEnumerable<WritableTensor>, IReadOnlyList<WritableTensor>> change)
    {
        string path = Path.Combine(folder, "model.safetensors"), written = Path.Combine(folder, "written");
        using (SafetensorsFile file = SafetensorsFile.Open(path, _device))
            SafetensorsWriter.Write(written, change(file.Header.Tensors.Keys.Select(name => WritableTensor.Of(name, file.View(name)))));
        File.Move(written, path, overwrite: true);
    }
}
