using GemmaCore.Checkpoints;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;
using GemmaCore.Training.RunFiles;

namespace GemmaCore.Training.Tests;

/// <summary>Rows that are left out while a run is under way (<c>on_bad_row: skip</c>), with micro-batches of one row, so that a bad row leaves its step empty.</summary>
public sealed class SkippedRowsTests : IDisposable
{
    private const int RowCount = 4;

    private readonly string _folder = Directory.CreateTempSubdirectory("gemmacore-skip-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_step_without_usable_rows_is_passed_over_and_a_resumed_run_ends_with_the_same_bytes()
    {
        byte[] whole = Train("whole", badRows: [1, 2], resumeAt: 0, out RowReport report);
        Assert.Equal(2, report.Skipped.Count);
        Assert.StartsWith("row 1: needs ", report.Skipped.Order().First(), StringComparison.Ordinal);
        Assert.DoesNotContain("row 1: row 1", report.Skipped.Order().First(), StringComparison.Ordinal);
        Assert.Equal(2, File.ReadLines(Path.Combine(_folder, "whole", "train.jsonl")).Count());
        for (int step = 1; step < RowCount; step++)
        {
            Train($"part{step}", badRows: [1, 2], resumeAt: 0, out _);
            Assert.Equal(whole, Train($"part{step}", badRows: [1, 2], step, out _));
        }
    }

    [Fact]
    public void A_run_none_of_whose_rows_can_be_used_is_an_error() =>
        Assert.Contains("none of the 4 rows", Assert.Throws<DatasetException>(() => Train("none", badRows: [0, 1, 2, 3], resumeAt: 0, out _)).Message, StringComparison.Ordinal);

    private byte[] Train(string name, int[] badRows, int resumeAt, out RowReport report)
    {
        using var device = new CpuDevice(1);
        using LanguageModel model = ModelFolder.Load(Goldens.DemoPath("model"), device);
        var config = AdapterConfig.Parse("""{"r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}"""u8.ToArray(), "adapter_config.json");
        using LoraAdapter adapter = LoraAdapter.Create(model, config, seed: 5);
        using var trainer = new LoraTrainer(model, adapter, new AdamW(adapter.Parameters, 0.9f, 0.999f, 1e-8f, 0), seed: 1);
        report = new RowReport(Skip: true);
        var encoder = new ExampleEncoder(PromptEncoder.Load(Goldens.DemoPath("model")), maxLength: 24, LossTokens.AssistantOnly);
        TrainingExample[] rows = [.. Enumerable.Range(0, RowCount).Select(i => new TrainingExample(
            "rows", $"row {i}", [ChatMessage.FromText(ChatRole.User, "a")], badRows.Contains(i) ? new string('7', 50) : $"{i}", null))];
        var configuration = new TrainingConfiguration
        {
            OutputDir = Path.Combine(_folder, name), PerDeviceTrainBatchSize = 1, NumTrainEpochs = 1, LoggingSteps = 1, SaveSteps = 1, LearningRate = 1e-2,
        };
        using var run = new TrainingRun(configuration, new RunFolder(configuration.OutputDir), trainer, adapter, new EncodedDataset(rows, encoder, report), null);
        if (resumeAt > 0) Assert.True(run.Resume(Path.Combine(configuration.OutputDir, $"checkpoint-{resumeAt}")));
        run.Run(null, CancellationToken.None);
        Assert.Equal(RowCount, run.State.Step);
        return File.ReadAllBytes(Path.Combine(configuration.OutputDir, "adapter_model.safetensors"));
    }
}
