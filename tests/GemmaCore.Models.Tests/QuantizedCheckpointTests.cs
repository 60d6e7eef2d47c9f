using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>What is written must be what bitsandbytes writes, and must load again; what is damaged must be refused by name.</summary>
public sealed class QuantizedCheckpointTests : IDisposable
{
    private static readonly int[] Ids = [2, 10, 390, 293, 14, 700, 546];
    private readonly string _folder = Path.Combine(Path.GetTempPath(), "gemmacore-quantised-" + Guid.NewGuid().ToString("N"));

    [Fact]
    public void The_tensors_are_those_that_bitsandbytes_saves()
    {
        using var device = new CpuDevice(2);
        Write(device, WeightFormat.Nf4);
        using SafetensorsFile ours = SafetensorsFile.Open(Path.Combine(_folder, "model.safetensors"), device);
        using SafetensorsFile theirs = SafetensorsFile.Open(Goldens.Path("nf4/checkpoint/model.safetensors"), device);

        Assert.Equal(theirs.Header.Tensors.Keys.Order(StringComparer.Ordinal), ours.Header.Tensors.Keys.Order(StringComparer.Ordinal));
        foreach ((string name, StoredTensor stored) in theirs.Header.Tensors)
        {
            // The mean of the magnitudes may differ by an ulp, its text by a character.
            if (name.Contains("quant_state", StringComparison.Ordinal)) continue;
            Assert.Equal((stored.StoredType, stored.ShapeText), (ours.Header.Tensors[name].StoredType, ours.Header.Tensors[name].ShapeText));
            bool magnitudes = name.EndsWith("absmax", StringComparison.Ordinal);
            if (!magnitudes) Assert.True(Bytes(ours.View(name)).SequenceEqual(Bytes(theirs.View(name))), $"{name} differs");
        }
    }

    [Theory]
    [InlineData(WeightFormat.Nf4)]
    [InlineData(WeightFormat.Nf4Plain)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int8Group)]
    public void What_is_written_answers_as_what_was_loaded(WeightFormat format)
    {
        using var device = new CpuDevice(2);
        Write(device, format);
        float[] direct, again;
        using (var embedded = new EmbeddedModel(format: format)) direct = embedded.Run([Ids], []).Logits;
        using (var embedded = new EmbeddedModel(_folder)) again = embedded.Run([Ids], []).Logits;
        Assert.Equal(direct, again);
    }

    [Theory]
    [InlineData(WeightFormat.Nf4)]
    [InlineData(WeightFormat.Int8)]
    public void Embeddings_in_8_bits_are_written_as_rows_and_read_again(WeightFormat format)
    {
        using var device = new CpuDevice(2);
        Write(device, format, tables: WeightFormat.Int8);
        using (SafetensorsFile file = SafetensorsFile.Open(Path.Combine(_folder, "model.safetensors"), device))
        {
            string embeddings = file.Header.Tensors.Keys.Single(name => name.EndsWith("embed_tokens.weight", StringComparison.Ordinal));
            Assert.Equal(("I8", "F32"), (file.Header.Tensors[embeddings].StoredType, file.Header.Tensors[embeddings.Replace(".weight", ".SCB", StringComparison.Ordinal)].StoredType));
        }

        float[] direct, again;
        using (var embedded = new EmbeddedModel(format: format, tables: WeightFormat.Int8)) direct = embedded.Run([Ids], []).Logits;
        using (var embedded = new EmbeddedModel(_folder))
        {
            Assert.Equal("int8", embedded.Model.Head.Format);
            again = embedded.Run([Ids], []).Logits;
        }

        Assert.Equal(direct, again);
    }

    [Fact]
    public void Groups_of_128_are_written_as_compressed_tensors_names_them()
    {
        using var device = new CpuDevice(2);
        Write(device, WeightFormat.Int8Group);
        JsonNode settings = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder, "config.json")))!["quantization_config"]!;
        Assert.Equal(("compressed-tensors", "int-quantized"), ((string?)settings["quant_method"], (string?)settings["format"]));
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(_folder, "model.safetensors"), device);
        using LanguageModel model = ModelFolder.Load(_folder, device);
        foreach (Linear layer in model.Linears)
        {
            var matrix = Assert.IsType<Ops.Int8GroupMatrix>(layer.Weight);
            string name = file.Header.Tensors.Keys.Single(stored => WeightNames.Canonical(stored) == layer.Path + ".weight");
            Assert.Equal(("I8", "F16"), (file.Header.Tensors[name].StoredType, file.Header.Tensors[name + "_scale"].StoredType));
            Assert.Equal(matrix.Scales.Shape, new Shape(layer.OutputSize, (layer.InputSize + 127) / 128));
        }
    }

    [Theory]
    [InlineData("\"dtype\":\"F16\"", "\"dtype\":\"I16\"", "which GemmaCore does not read")]
    [InlineData("\"dtype\":\"F16\"", "\"dtype\":\"U16\"", "which GemmaCore does not read")]
    public void Scales_of_another_type_are_refused(string text, string damage, string complaint)
    {
        using var device = new CpuDevice(2);
        Write(device, WeightFormat.Int8Group);
        string file = Path.Combine(_folder, "model.safetensors");
        byte[] bytes = File.ReadAllBytes(file);
        System.Text.Encoding.UTF8.GetBytes(damage).CopyTo(bytes, bytes.AsSpan().IndexOf(System.Text.Encoding.UTF8.GetBytes(text)));
        File.WriteAllBytes(file, bytes);
        Assert.Contains(complaint, Assert.Throws<CheckpointException>(() => ModelFolder.Load(_folder, device)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Scales_of_another_group_size_are_refused_with_what_was_expected()
    {
        using var device = new CpuDevice(2);
        Write(device, WeightFormat.Int8Group);
        // The same elements as [2·out, ⌈in/128⌉ / 2]: what a file of groups of 256 would hold for a layer twice as high.
        string path = Path.Combine(_folder, "model.safetensors");
        string rewritten = Path.Combine(_folder, "rewritten.safetensors");
        using (SafetensorsFile file = SafetensorsFile.Open(path, device))
        {
            string scales = file.Header.Tensors.Keys.First(name => name.EndsWith("down_proj.weight_scale", StringComparison.Ordinal));
            SafetensorsWriter.Write(rewritten, [.. file.Header.Tensors.Keys.Select(name => WritableTensor.Of(
                name, name == scales ? file.View(name).Reshape(new Shape((int)file.View(name).Shape.ElementCount)) : file.View(name)))]);
        }

        File.Move(rewritten, path, overwrite: true);
        string message = Assert.Throws<CheckpointException>(() => ModelFolder.Load(_folder, device)).Message;
        Assert.Contains("expected f16[128, 3]: one for every 128 inputs", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Other_formats_of_compressed_tensors_are_refused_by_name()
    {
        using var device = new CpuDevice(2);
        Write(device, WeightFormat.Int8Group);
        string file = Path.Combine(_folder, "config.json");
        File.WriteAllText(file, File.ReadAllText(file).Replace("int-quantized", "pack-quantized", StringComparison.Ordinal));
        Assert.Contains("'pack-quantized' of compressed-tensors is not supported", Assert.Throws<CheckpointException>(() => ModelFolder.Load(_folder, device)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_quantised_base_is_neither_quantised_again_nor_merged_into()
    {
        using var device = new CpuDevice(2);
        string golden = Goldens.Path("nf4/checkpoint");
        using LanguageModel model = ModelFolder.Load(golden, device);
        Assert.Contains("is quantised already", Assert.Throws<CheckpointException>(() => QuantizedCheckpoint.Write(model, golden, _folder)).Message, StringComparison.Ordinal);
        using LoraAdapter adapter = LoraAdapter.Load(Goldens.Path("adapters/qv_list_r4"), model);
        Assert.Contains("is held in nf4", Assert.Throws<CheckpointException>(() => AdapterMerge.Write(model, adapter, golden, _folder)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"blocksize\": 64", "\"blocksize\": 32", "has blocksize 32 in its quant_state, expected 64")]
    [InlineData("\"quant_type\": \"nf4\"", "\"quant_type\": \"nf8\"", "has quant_type nf8")]
    [InlineData("\"shape\": [", "\"shape\": [9", "by its quant_state")]
    [InlineData("{\"quant", "[\"quant", "cannot be read")]
    public void A_damaged_state_is_refused_with_the_tensor_s_name(string text, string damage, string complaint)
    {
        using var device = new CpuDevice(2);
        Write(device, WeightFormat.Nf4);
        string file = Path.Combine(_folder, "model.safetensors");
        byte[] bytes = File.ReadAllBytes(file);
        int at = bytes.AsSpan().IndexOf(System.Text.Encoding.UTF8.GetBytes(text));
        // As long as before: what follows moves up by what is too much and the state loses its end.
        System.Text.Encoding.UTF8.GetBytes(damage).CopyTo(bytes, at);
        File.WriteAllBytes(file, bytes);
        string message = Assert.Throws<CheckpointException>(() => ModelFolder.Load(_folder, device)).Message;
        Assert.Contains(complaint, message, StringComparison.Ordinal);
        Assert.Contains("_proj.weight'", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gptq")]
    [InlineData("awq")]
    [InlineData("fp8")]
    [InlineData("fbgemm_fp8")]
    [InlineData("hqq")]
    [InlineData("torchao")]
    [InlineData("eetq")]
    [InlineData("quanto")]
    [InlineData("mxfp4")]
    public void Another_method_is_refused_by_name(string method)
    {
        using var device = new CpuDevice(2);
        Write(device, WeightFormat.Int8);
        string file = Path.Combine(_folder, "config.json");
        JsonNode config = JsonNode.Parse(File.ReadAllText(file))!;
        config["quantization_config"]!["quant_method"] = method;
        File.WriteAllText(file, config.ToJsonString());
        Assert.Contains($"'{method}' checkpoints are not supported", Assert.Throws<CheckpointException>(() => ModelFolder.Load(_folder, device)).Message, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        if (Directory.Exists(_folder)) Directory.Delete(_folder, recursive: true);
    }

    private static ReadOnlySpan<byte> Bytes(TensorView view) => new TensorView(view.Pointer, new Shape((int)view.ByteCount), DType.U8, view.Device).AsSpan<byte>();

    private void Write(CpuDevice device, WeightFormat format, WeightFormat tables = WeightFormat.AsStored)
    {
        string source = Goldens.DemoPath("model");
        using LanguageModel model = ModelFolder.Load(source, device, format, tables);
        QuantizedCheckpoint.Write(model, source, _folder);
        foreach (string file in Directory.GetFiles(source, "*token*")) File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
    }
}
