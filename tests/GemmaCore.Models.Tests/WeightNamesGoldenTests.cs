using System.Text.Json;
using GemmaCore.Checkpoints;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

public sealed class WeightNamesGoldenTests
{
    public static TheoryData<string> Generations
    {
        get
        {
            using JsonDocument names = JsonDocument.Parse(File.ReadAllBytes(Goldens.Path("weight_names.json")));
            return [.. names.RootElement.EnumerateObject().Select(generation => generation.Name)];
        }
    }

    [Theory]
    [MemberData(nameof(Generations))]
    public void A_checkpoint_under_every_generation_of_names_is_the_same_model(string generation)
    {
        using JsonDocument names = JsonDocument.Parse(File.ReadAllBytes(Goldens.Path("weight_names.json")));
        string[] spelled = [.. names.RootElement.GetProperty(generation).EnumerateArray().Select(name => name.GetString()!)];
        string folder = Path.Combine(Path.GetTempPath(), "gemmacore-names-" + Guid.NewGuid().ToString("N"));
        int[] ids = [2, 10, 390, 293, 11];
        try
        {
            using var original = new EmbeddedModel();
            using (CheckpointFolder source = CheckpointFolder.Open(Goldens.DemoPath("model"), original.Device))
            {
                SafetensorsWriter.WriteCheckpoint(folder, [.. spelled.Where(name => WeightNames.Canonical(name) is { } known && source.TryGet(known, out _))
                    .Select(name => WritableTensor.Of(name, Find(source, name)))]);
            }

            bool textOnly = !spelled.Any(name => name.Contains("vision_tower", StringComparison.Ordinal));
            File.WriteAllText(Path.Combine(folder, "config.json"), textOnly ? TextConfig() : File.ReadAllText(Goldens.DemoPath("model/config.json")));
            using var renamed = new EmbeddedModel(folder);
            float[] expected = original.Run([ids], []).Logits, ours = renamed.Run([ids], []).Logits;
            Parity.ReportExact("weight names", "weight_names.json", "generations giving the same logits", ours.AsSpan().SequenceEqual(expected) ? 1 : 0, 1);
            Assert.Equal(expected, ours);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static TensorView Find(CheckpointFolder source, string name)
    {
        source.TryGet(WeightNames.Canonical(name)!, out TensorView view);
        return view;
    }

    private static string TextConfig()
    {
        using JsonDocument config = JsonDocument.Parse(File.ReadAllBytes(Goldens.DemoPath("model/config.json")));
        return config.RootElement.GetProperty("text_config").GetRawText();
    }
}
