using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Models.Lora;
using GemmaCore.Ops;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>Adapters that hold whole trained tensors (modules_to_save) beside their low-rank pairs.</summary>
public sealed class SavedModulesTests : IDisposable
{
    private const string Block = "model.language_model.layers.3.mlp.down_proj";

    private static readonly int[] Ids = [2, 10, 390, 293, 11];

    private readonly string _folder = Path.Combine(Path.GetTempPath(), "gemmacore-saved-" + Guid.NewGuid().ToString("N"));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("lm_head", true)]
    [InlineData("model.language_model.embed_tokens", true)]
    [InlineData(Block, false)]
    public void A_merged_model_and_a_saved_adapter_hold_the_trained_copies(string module, bool parted)
    {
        using var embedded = new EmbeddedModel();
        float[] before = embedded.Run([Ids], []).Logits, loaded;
        string merged = Path.Combine(_folder, "merged"), saved = Path.Combine(_folder, "saved");
        using (LoraAdapter adapter = LoraAdapter.Load(WriteAdapter(embedded, module), embedded.Model))
        {
            loaded = embedded.Run([Ids], []).Logits;
            MergedModel.Write(embedded, adapter, merged);
            adapter.Save(saved, NameGeneration.First);
        }

        Assert.True(LargestDifference(loaded, before) > 0.1, "the trained copy changed nothing");
        Assert.Equal(before, embedded.Run([Ids], []).Logits);
        using (LoraAdapter.Load(saved, embedded.Model)) Assert.Equal(loaded, embedded.Run([Ids], []).Logits);
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(merged, "config.json")))!;
        Assert.Equal(parted, config["tie_word_embeddings"] is JsonValue tied && !tied.GetValue<bool>());
        using var result = new EmbeddedModel(merged);
        Assert.True(LargestDifference(result.Run([Ids], []).Logits, loaded) < 1e-4, "the merged model answers differently");
    }

    private static double LargestDifference(float[] a, float[] b) => a.Zip(b, (x, y) => Math.Abs(x - y)).Max();

    // The low-rank pairs of a golden adapter, and one tensor of the base with the sign of every third value turned.
    private string WriteAdapter(EmbeddedModel embedded, string module)
    {
        string golden = Goldens.Path("adapters/qv_list_r4"), folder = Path.Combine(_folder, "adapter");
        Directory.CreateDirectory(folder);
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(golden, "adapter_config.json")))!;
        config["modules_to_save"] = new JsonArray(module[(module.LastIndexOf('.') + 1)..]);
        File.WriteAllText(Path.Combine(folder, "adapter_config.json"), config.ToJsonString());
        WeightMatrix trained = module == Block ? embedded.Model.Linears.Single(linear => linear.Path == module).Weight : embedded.Model.Head;
        float[] values = [.. trained.ToFloats().Select((value, i) => i % 3 == 0 ? -value : value)];
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(golden, "adapter_model.safetensors"), embedded.Device);
        SafetensorsWriter.Write(Path.Combine(folder, "adapter_model.safetensors"),
        [
            .. file.Header.Tensors.Keys.Select(name => WritableTensor.Of(name, file.View(name))),
            new WritableTensor($"base_model.model.{module}.weight", DType.F32, trained.Shape, stream => stream.Write(MemoryMarshal.AsBytes<float>(values))),
        ]);
        return folder;
    }
}
