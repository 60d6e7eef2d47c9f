using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>Quantised checkpoints as others leave them: what means the same loads with the same values, what means something else is refused by name.</summary>
public sealed class StoredCodesTests : IDisposable
{
    private const string Layer = "layers.1.mlp.down_proj.";
    private static readonly int[] Ids = [2, 10, 390, 293, 14, 700, 546];
    private readonly string _folder = Path.Combine(Path.GetTempPath(), "gemmacore-codes-" + Guid.NewGuid().ToString("N"));
    private readonly CpuDevice _device = new(2);

    // Google's notebook for MedGemma saves with bnb_4bit_quant_storage=torch.bfloat16.
    [Theory]
    [InlineData(DType.BF16)]
    [InlineData(DType.F16)]
    [InlineData(DType.F32)]
    public void Codes_may_lie_in_elements_of_any_type(DType storage)
    {
        string golden = Goldens.Path("nf4/checkpoint");
        Rewrite(golden, (file, name) => file.Header.Tensors.ContainsKey(name + ".quant_map") ? Of(name, file.View(name), storage) : WritableTensor.Of(name, file.View(name)));
        float[] theirs = Logits(golden), ours = Logits(_folder);
        Assert.Equal(theirs, ours);
        using CheckpointFolder checkpoint = CheckpointFolder.Open(_folder, _device);
        checkpoint.CheckFinite(); // codes are no numbers, whatever their type
        using LanguageModel model = ModelFolder.Load(_folder, _device);
        Assert.Contains("is quantised already", Assert.Throws<CheckpointException>(() => QuantizedCheckpoint.Write(model, _folder, _folder + "-again")).Message, StringComparison.Ordinal);
    }

    // Unsloth's "dynamic" files: which layers stay in 16 bits is a matter of the tensors alone.
    [Fact]
    public void Some_layers_may_be_left_dense()
    {
        string golden = Goldens.Path("nf4/checkpoint");
        using var quantised = new EmbeddedModel(golden);
        float[] values = quantised.Model.Linears.Single(layer => layer.Path.EndsWith(Layer.TrimEnd('.'), StringComparison.Ordinal)).Weight.ToFloats();
        Shape shape = quantised.Model.Linears.Single(layer => layer.Path.EndsWith(Layer.TrimEnd('.'), StringComparison.Ordinal)).Weight.Shape;
        Rewrite(golden, (file, name) => !name.Contains(Layer, StringComparison.Ordinal) ? WritableTensor.Of(name, file.View(name))
            : name.EndsWith(".weight", StringComparison.Ordinal) ? new WritableTensor(name, DType.F32, shape, stream => stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(values)))
            : null);
        using var mixed = new EmbeddedModel(_folder);
        Assert.Equal(["f32", "nf4"], mixed.Model.Linears.Select(layer => layer.Weight.Format).Distinct().Order(StringComparer.Ordinal));
        int[] ids = [.. Ids, .. Ids]; // more rows than the eight that some processors round before they multiply codes
        float[] expected = quantised.Run([ids], []).Logits, actual = mixed.Run([ids], []).Logits;
        Assert.InRange(Tolerance.RelativeError(actual, expected), 0, 1e-5);
    }

    [Theory]
    [InlineData(0, null)]
    [InlineData(2, "has a weight_format other than 0")]
    public void Rows_are_the_only_order_of_8_bit_codes(byte format, string? complaint)
    {
        Quantise(WeightFormat.Int8);
        Change(name => name.EndsWith("down_proj.weight_format", StringComparison.Ordinal), bytes => bytes[0] = format);
        Judge(complaint);
    }

    [Theory]
    [InlineData("_zero_point", 0, null)]
    [InlineData("_zero_point", 3, "is asymmetric")]
    [InlineData("_g_idx", 0, "weight_g_idx")]
    public void Groups_are_symmetric_and_in_order(string suffix, byte value, string? complaint)
    {
        Quantise(WeightFormat.Int8Group);
        Rewrite(_folder, (file, name) => WritableTensor.Of(name, file.View(name)), tensors =>
        {
            string weight = tensors.First(tensor => tensor.Name.EndsWith("down_proj.weight", StringComparison.Ordinal)).Name;
            return [.. tensors, new WritableTensor(weight + suffix, DType.I8, new Shape(1), stream => stream.WriteByte(value))];
        });
        Judge(complaint);
    }

    [Theory]
    [InlineData("down_proj.weight", "down_proj.qweight", "is packed as GPTQ, AWQ or compressed-tensors")]
    [InlineData("down_proj.weight", "down_proj.weight_packed", "is packed as GPTQ, AWQ or compressed-tensors")]
    [InlineData("down_proj.weight.quant_state.bitsandbytes__nf4", "down_proj.weight.lost", "codes would have a quant_state (4 bits) or an SCB (8 bits) beside them")]
    [InlineData("down_proj.weight.absmax", "down_proj.weight.lost", "lacks '")]
    public void Tensors_that_say_nothing_here_are_named(string name, string other, string complaint)
    {
        Rewrite(Goldens.Path("nf4/checkpoint"), (file, stored) =>
            WritableTensor.Of(stored.EndsWith(name, StringComparison.Ordinal) ? stored[..^name.Length] + other : stored, file.View(stored)), keepState: name != "down_proj.weight");
        Judge(complaint);
    }

    [Theory]
    [InlineData(WeightFormat.Nf4, "down_proj.weight.nested_absmax")]
    [InlineData(WeightFormat.Nf4Plain, "down_proj.weight.absmax")]
    [InlineData(WeightFormat.Int8, "down_proj.SCB")]
    [InlineData(WeightFormat.Int8Group, "down_proj.weight_scale")]
    public void Magnitudes_that_are_no_numbers_are_refused(WeightFormat format, string tensor)
    {
        Quantise(format);
        Change(name => name.EndsWith(tensor, StringComparison.Ordinal), bytes => bytes[^2..].Fill(0xFF));
        Judge("holds NaN or infinity");
    }

    [Theory]
    [InlineData(WeightFormat.Nf4)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int8Group)]
    public void Weights_that_are_no_numbers_are_not_quantised(WeightFormat format)
    {
        Directory.CreateDirectory(_folder);
        foreach (string file in Directory.GetFiles(Goldens.DemoPath("model"))) File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
        Change(name => name.EndsWith("layers.2.mlp.up_proj.weight", StringComparison.Ordinal), bytes => bytes.Slice(20, 4).Fill(0xFF));
        string message = Assert.Throws<CheckpointException>(() => ModelFolder.Load(_folder, _device, format)).Message;
        Assert.Contains("layers.2.mlp.up_proj.weight' holds NaN or infinity at element", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_configuration_of_the_time_when_there_was_one_method_loads()
    {
        Quantise(WeightFormat.Int8);
        Configure(config => config["quantization_config"]!.AsObject().Remove("quant_method"));
        Judge(null);
        Configure(config => config["quantization_config"] = new JsonObject());
        Judge("quant_method: '?' checkpoints are not supported");
    }

    // load_in_4bit beside a checkpoint in 4 bits is what everybody writes; the layers that Unsloth left dense stay dense all the same.
    [Fact]
    public void Asking_for_what_the_checkpoint_holds_changes_nothing_and_for_another_format_is_refused()
    {
        Some_layers_may_be_left_dense();
        foreach (WeightFormat same in (WeightFormat[])[WeightFormat.Nf4, WeightFormat.Nf4Plain])
        {
            using LanguageModel model = ModelFolder.Load(_folder, _device, same);
            Assert.Equal(["f32", "nf4"], model.Linears.Select(layer => layer.Weight.Format).Distinct().Order(StringComparer.Ordinal));
        }

        foreach ((WeightFormat other, string name) in ((WeightFormat, string)[])[(WeightFormat.Int8, "int8"), (WeightFormat.Int8Group, "int8-128")])
        {
            string message = Assert.Throws<CheckpointException>(() => ModelFolder.Load(_folder, _device, other)).Message;
            Assert.Contains($"quantised already, in nf4, and {name} was asked for; leave that out", message, StringComparison.Ordinal);
        }
    }

    // A folder with a configuration and no weights is enough for a plan.
    [Theory]
    [InlineData(WeightFormat.Nf4)]
    [InlineData(WeightFormat.Nf4Plain)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int8Group)]
    public void A_rehearsal_without_weights_takes_the_format_from_the_configuration(WeightFormat format)
    {
        Quantise(format);
        using CpuDevice whole = CpuDevice.Rehearsal(), bare = CpuDevice.Rehearsal();
        using LanguageModel expected = ModelFolder.Rehearse(_folder, whole, new ModelVariant());
        string[] formats = [.. expected.Linears.Select(layer => layer.Weight.Format)];
        long bytes = expected.Linears.Sum(layer => layer.Weight.ByteCount);
        expected.Dispose();
        foreach (string file in Directory.GetFiles(_folder, "*.safetensors")) File.Delete(file);
        using LanguageModel actual = ModelFolder.Rehearse(_folder, bare, new ModelVariant());
        Assert.Equal(formats, actual.Linears.Select(layer => layer.Weight.Format));
        Assert.Equal(bytes, actual.Linears.Sum(layer => layer.Weight.ByteCount));
    }

    // As Unsloth's checkpoints name them, in the spelling of whichever transformers wrote the configuration.
    [Theory]
    [InlineData("vision_tower", "vision_tower")]
    [InlineData("model.vision_tower", "vision_tower")]
    [InlineData("language_model.model.layers.1.mlp", "language_model.layers.1.mlp.")]
    [InlineData("model.language_model.layers.1.mlp", "language_model.layers.1.mlp.")]
    [InlineData("model.layers.1.self_attn.q_proj", "language_model.layers.1.self_attn.q_proj")]
    [InlineData("k_proj", "k_proj")]
    public void A_rehearsal_without_weights_leaves_dense_what_the_configuration_does(string skipped, string part)
    {
        Quantise(WeightFormat.Nf4);
        foreach (string file in Directory.GetFiles(_folder, "*.safetensors")) File.Delete(file);
        Configure(config => config["quantization_config"]!["llm_int8_skip_modules"] = new JsonArray("lm_head", "multi_modal_projector", skipped));
        using CpuDevice device = CpuDevice.Rehearsal();
        using LanguageModel model = ModelFolder.Rehearse(_folder, device, new ModelVariant());
        bool IsDense(string path) => path.Contains(part, StringComparison.Ordinal);
        Assert.Contains(model.Linears, layer => IsDense(layer.Path));
        Assert.All(model.Linears, layer => Assert.Equal(IsDense(layer.Path) ? "bf16" : "nf4", layer.Weight.Format));
    }

    public void Dispose()
    {
        _device.Dispose();
        if (Directory.Exists(_folder)) Directory.Delete(_folder, recursive: true);
    }

    private static WritableTensor Of(string name, TensorView view, DType type) =>
        WritableTensor.Of(name, new TensorView(view.Pointer, new Shape((int)(view.ByteCount / type.Size()), 1), type, view.Device));

    private static float[] Logits(string folder)
    {
        using var embedded = new EmbeddedModel(folder);
        return embedded.Run([Ids], []).Logits;
    }

    private void Judge(string? complaint)
    {
        if (complaint is null) ModelFolder.Load(_folder, _device).Dispose();
        else Assert.Contains(complaint, Assert.Throws<CheckpointException>(() => ModelFolder.Load(_folder, _device)).Message, StringComparison.Ordinal);
    }

    private void Quantise(WeightFormat format)
    {
        string source = Goldens.DemoPath("model");
        using LanguageModel model = ModelFolder.Load(source, _device, format);
        QuantizedCheckpoint.Write(model, source, _folder);
    }

    private void Configure(Action<JsonNode> change) => ConfigFile.Change(_folder, change);

    private void Change(Func<string, bool> which, Action<Span<byte>> change)
    {
        foreach (string path in Directory.GetFiles(_folder, "*.safetensors"))
        {
            SafetensorsHeader header;
            using (SafetensorsFile file = SafetensorsFile.Open(path, _device)) header = file.Header;
            if (header.Tensors.Values.FirstOrDefault(stored => which(stored.Name)) is not { } tensor) continue;
            byte[] bytes = File.ReadAllBytes(path);
            change(bytes.AsSpan((int)(header.DataStart + tensor.Begin), (int)(tensor.End - tensor.Begin)));
            File.WriteAllBytes(path, bytes);
            return;
        }

        Assert.Fail("there is no such tensor");
    }

    private void Rewrite(
        string source, Func<SafetensorsFile, string, WritableTensor?> change, Func<List<WritableTensor>, IReadOnlyList<WritableTensor>>? last = null, bool keepState = true)
    {
        Directory.CreateDirectory(_folder);
        string written = Path.Combine(_folder, "written");
        using (SafetensorsFile file = SafetensorsFile.Open(Path.Combine(source, "model.safetensors"), _device))
        {
            List<WritableTensor> tensors = [.. file.Header.Tensors.Keys
                .Where(name => keepState || !name.Contains("down_proj.weight.", StringComparison.Ordinal)).Select(name => change(file, name)).OfType<WritableTensor>()];
            SafetensorsWriter.Write(written, last is null ? tensors : last(tensors));
        }

        File.Move(written, Path.Combine(_folder, "model.safetensors"), overwrite: true);
        if (source == _folder) return;
        foreach (string file in Directory.GetFiles(source, "*.json").Concat(Directory.GetFiles(source, "*token*")))
            File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)), overwrite: true);
    }
}
