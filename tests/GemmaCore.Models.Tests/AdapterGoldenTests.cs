using GemmaCore.Checkpoints;
using GemmaCore.Cuda;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

public sealed class AdapterGoldenTests
{
    private const string Image = "validation-public/Retinography/phantom_retina/imagesVal/phantom_retina_0000.jpg";

    [Theory]
    [InlineData("all_linear_r8", "all_linear_r8", 132)]
    [InlineData("all_linear_r8_layout_A", "all_linear_r8", 132)]
    [InlineData("all_linear_r8_layout_C", "all_linear_r8", 132)]
    [InlineData("text_only_r4_rslora", "text_only_r4_rslora", 84)]
    [InlineData("qv_list_r4", "qv_list_r4", 40)]
    [InlineData("patterns", "patterns", 52)]
    [InlineData("dora_r4", "dora_r4", 60)]
    public void An_adapter_loaded_and_merged_gives_the_logits_of_peft(string folder, string goldenName, int tensors)
    {
        Dictionary<string, GoldenTensor> golden = GoldenTensors.Load(Goldens.Path($"adapters/{goldenName}.safetensors"));
        // As the manifest names it: the golden, or the folder that holds the same adapter under another key layout.
        string file = folder == goldenName ? $"adapters/{goldenName}.safetensors" : $"adapters/{folder}/";
        int[] ids = LogitsGoldenTests.Ids(golden["input_ids"]);
        using var embedded = new EmbeddedModel();
        string merged = Path.Combine(Path.GetTempPath(), "gemmacore-merged-" + Guid.NewGuid().ToString("N"));
        try
        {
            using (LoraAdapter adapter = LoraAdapter.Load(Goldens.Path($"adapters/{folder}"), embedded.Model))
            {
                Assert.Equal(tensors, adapter.AppliedTensorCount);
                LogitsGoldenTests.Check("adapters", file, "logits, loaded", embedded.Run([ids], [Image]).Logits, golden["logits"].Floats);
                MergedModel.Write(embedded, adapter, merged);
            }

            using var again = new EmbeddedModel(merged);
            LogitsGoldenTests.Check("adapters", file, "logits, merged", again.Run([ids], [Image]).Logits, golden["merged_logits"].Floats);
        }
        finally
        {
            if (Directory.Exists(merged)) Directory.Delete(merged, recursive: true);
        }
    }

    // Every adapter is loaded on a card, and a merged one read on another; the cards take turns, so that each tier has several adapters and the DoRA one is on two.
    // The floor file has no case with an adapter. The base's one-image cases stand in: same layers, same lengths, one image; an adapter adds products of rank
    // R whose share of a layer's output is small.
    [Theory]
    [InlineData("all_linear_r8", "gtx1650/random", "a100/adversarial")]
    [InlineData("text_only_r4_rslora", "a100/round_robin", "t4/priority")]
    [InlineData("qv_list_r4", "t4/adversarial", "h200/random")]
    [InlineData("patterns", "h200/priority", "gtx1650/adversarial")]
    [InlineData("dora_r4", "t4/random", "h200/round_robin")]
    [InlineData("dora_r4", "gtx1650/priority", "a100/random")]
    public void An_adapter_loaded_and_merged_on_a_card_stays_within_the_floor_of_its_precision(string name, string loadedOn, string mergedOn)
    {
        Dictionary<string, GoldenTensor> golden = GoldenTensors.Load(Goldens.Path($"adapters/{name}.safetensors"));
        int[] ids = LogitsGoldenTests.Ids(golden["input_ids"]);
        string merged = Path.Combine(Path.GetTempPath(), "gemmacore-merged-" + Guid.NewGuid().ToString("N"));
        try
        {
            using (var embedded = new EmbeddedModel(device: loadedOn))
            using (LoraAdapter.Load(Goldens.Path($"adapters/{name}"), embedded.Model))
                CheckOnCard(embedded, name, "loaded", embedded.Run([ids], [Image]).Logits, golden["logits"].Floats);
            using (var embedded = new EmbeddedModel())
            using (LoraAdapter adapter = LoraAdapter.Load(Goldens.Path($"adapters/{name}"), embedded.Model))
                MergedModel.Write(embedded, adapter, merged);
            using var again = new EmbeddedModel(merged, mergedOn);
            CheckOnCard(again, name, "merged", again.Run([ids], [Image]).Logits, golden["merged_logits"].Floats);
        }
        finally
        {
            if (Directory.Exists(merged)) Directory.Delete(merged, recursive: true);
        }
    }

    [Fact]
    public void Removing_an_adapter_restores_the_base_bit_for_bit()
    {
        int[] ids = [2, 10, 390, 293, 11];
        using var embedded = new EmbeddedModel();
        float[] before = embedded.Run([ids], []).Logits;
        using (LoraAdapter adapter = LoraAdapter.Load(Goldens.Path("adapters/dora_r4"), embedded.Model))
            Assert.NotEqual(before, embedded.Run([ids], []).Logits);
        Assert.Equal(before, embedded.Run([ids], []).Logits);
    }

    [Theory]
    [InlineData("dora_r4", NameGeneration.Second)]
    [InlineData("dora_r4", NameGeneration.Third)]
    [InlineData("all_linear_r8_layout_A", NameGeneration.First)]
    public void A_loaded_adapter_saved_again_is_the_same_adapter(string name, NameGeneration layout)
    {
        int[] ids = [2, 10, 390, 293, 11];
        string folder = Path.Combine(Path.GetTempPath(), "gemmacore-again-" + Guid.NewGuid().ToString("N"));
        using var embedded = new EmbeddedModel();
        try
        {
            float[] loaded;
            int tensors;
            using (LoraAdapter adapter = LoraAdapter.Load(Goldens.Path("adapters/" + name), embedded.Model))
            {
                (loaded, tensors) = (embedded.Run([ids], []).Logits, adapter.AppliedTensorCount);
                adapter.Save(folder, layout);
            }

            Assert.NotEqual(loaded, embedded.Run([ids], []).Logits);
            using LoraAdapter again = LoraAdapter.Load(folder, embedded.Model);
            Assert.Equal(tensors, again.AppliedTensorCount);
            Assert.Equal(loaded, embedded.Run([ids], []).Logits);
            Assert.Equal(name == "dora_r4", again.Config.UseDora);
        }
        finally
        {
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void DoRA_is_refused_by_name_where_an_adapter_would_be_trained()
    {
        using var embedded = new EmbeddedModel();
        string folder = Goldens.Path("adapters/dora_r4");
        AdapterConfig config = AdapterConfig.Parse(File.ReadAllBytes(Path.Combine(folder, "adapter_config.json")), folder);
        Assert.Contains("DoRA", Assert.Throws<CheckpointException>(() => LoraAdapter.LoadTrainable(folder, embedded.Model, 0)).Message, StringComparison.Ordinal);
        Assert.Contains("use_dora", Assert.Throws<CheckpointException>(() => LoraAdapter.Create(embedded.Model, config, 1)).Message, StringComparison.Ordinal);
        Assert.All(embedded.Model.Linears, linear => Assert.Empty(linear.Adapters));
    }

    [Theory]
    [InlineData(5, "applied 118 of 132 tensors", "layers.5.")]
    [InlineData(4, "applied 104 of 132 tensors", "layers.{4-5}.")]
    public void An_adapter_for_another_base_is_refused_and_the_misfits_are_listed(int layers, string applied, string missing)
    {
        string folder = Path.Combine(Path.GetTempPath(), "gemmacore-other-" + Guid.NewGuid().ToString("N"));
        try
        {
            ModelPreset preset = ModelPreset.Find("tiny")!;
            preset.Config["text_config"]!["num_hidden_layers"] = layers;
            RandomCheckpoint.Write(preset, folder, 1, DType.BF16);
            using var embedded = new EmbeddedModel(folder);
            var error = Assert.Throws<CheckpointException>(() => LoraAdapter.Load(Goldens.Path("adapters/all_linear_r8"), embedded.Model));
            Assert.Contains(applied, error.Message, StringComparison.Ordinal);
            Assert.Contains($"model.language_model.{missing}{{mlp.down_proj, mlp.gate_proj, mlp.up_proj, self_attn.k_proj, self_attn.o_proj, "
                + "self_attn.q_proj, self_attn.v_proj};", error.Message, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void CheckOnCard(EmbeddedModel embedded, string name, string how, float[] logits, float[] golden)
    {
        string file = $"adapters/{name}.safetensors", what = $"logits, {how}, on a simulated card, {embedded.Device.PrecisionPath}";
        if (((CudaDevice)embedded.Device).Precision == CudaPrecision.Float32)
        {
            LogitsGoldenTests.Check("adapters", file, what, logits, golden);
            return;
        }

        var floor = PrecisionFloor.OfOneImage(embedded.Device);
        Assert.InRange(Parity.Report("adapters", file, what + " (absolute)", Distance.Largest(logits, golden), floor.Largest), 0, floor.Largest);
        Assert.InRange(Parity.Report("adapters", file, what + " (rms)", Distance.RootMeanSquare(logits, golden), floor.RootMeanSquare), 0, floor.RootMeanSquare);
    }
}
