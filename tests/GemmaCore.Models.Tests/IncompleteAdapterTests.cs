using GemmaCore.Checkpoints;
using GemmaCore.Models.Lora;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>Adapter files that hold fewer pairs than their configuration trained; peft itself only warns.</summary>
public sealed class IncompleteAdapterTests : IDisposable
{
    private const string Golden = "adapters/qv_list_r4"; // its targets are names, which match the tower's layers as well

    private readonly string _folder = Directory.CreateTempSubdirectory("gemmacore-part-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_layer_that_was_trained_and_is_not_in_the_file_is_named()
    {
        using var embedded = new EmbeddedModel();
        string folder = Write(embedded, name => !name.Contains("layers.2.self_attn.v_proj", StringComparison.Ordinal) || name.Contains("vision", StringComparison.Ordinal));
        string message = Assert.Throws<CheckpointException>(() => LoraAdapter.Load(folder, embedded.Model)).Message;
        Assert.Contains("target_modules names 1 layers whose tensors the file does not hold: model.language_model.layers.2.self_attn.v_proj", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("vision_tower")]
    [InlineData("language_model")]
    public void A_part_of_the_model_without_any_pair_was_not_trained(string part)
    {
        using var embedded = new EmbeddedModel();
        using LoraAdapter adapter = LoraAdapter.Load(Write(embedded, name => name.Contains(part, StringComparison.Ordinal)), embedded.Model);
        Assert.Equal(part == "vision_tower" ? 16 : 24, adapter.AppliedTensorCount);
    }

    [Fact]
    public void A_file_without_tensors_is_refused()
    {
        using var embedded = new EmbeddedModel();
        string folder = Write(embedded, _ => false);
        Assert.Contains("holds no tensors", Assert.Throws<CheckpointException>(() => LoraAdapter.Load(folder, embedded.Model)).Message, StringComparison.Ordinal);
    }

    private string Write(EmbeddedModel embedded, Func<string, bool> keep)
    {
        using SafetensorsFile file = SafetensorsFile.Open(Goldens.Path(Golden + "/adapter_model.safetensors"), embedded.Device);
        SafetensorsWriter.Write(Path.Combine(_folder, "adapter_model.safetensors"), [.. file.Header.Tensors.Keys.Where(keep).Select(name => WritableTensor.Of(name, file.View(name)))]);
        File.Copy(Goldens.Path(Golden + "/adapter_config.json"), Path.Combine(_folder, "adapter_config.json"), overwrite: true);
        return _folder;
    }
}
