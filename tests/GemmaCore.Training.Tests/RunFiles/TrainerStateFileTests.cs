using System.Text.Json;
using GemmaCore.Checkpoints;
using GemmaCore.Training.Planning;
using GemmaCore.Training.RunFiles;

namespace GemmaCore.Training.Tests.RunFiles;

public sealed class TrainerStateFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("gemmacore-state-").FullName;

    private static RunState Sample => new()
    {
        Step = 40,
        MaxSteps = 120,
        Epoch = 1.0 / 3,
        TokenCount = 123_456_789_012,
        WindowLoss = 0.1 + 0.2,
        WindowSteps = 3,
        BestLoss = 1.7,
        BestStep = 20,
        EvaluationsWithoutImprovement = 1,
        Settings = new PlannedSettings(true, 2, false, 64, "adamw_8bit"),
        Log = [new LogEntry(20, 1.0 / 6, 2.5, 0.125, 2e-4, null), new LogEntry(20, 1.0 / 6, null, null, null, 1.7)],
    };

    [Fact]
    public void A_state_reads_back_to_the_last_bit()
    {
        string path = Write(TrainerStateFile.Format(Sample, 8, 10, 200, 200));
        RunState read = TrainerStateFile.Read(path);
        Assert.Equal(Sample.Log, read.Log);
        Assert.Equal(Sample with { Log = [] }, read with { Log = [] });
    }

    [Fact]
    public void A_run_without_evaluation_has_no_best() => Assert.True(double.IsNaN(TrainerStateFile.Read(Write(TrainerStateFile.Format(new RunState(), 1, 1, 1, 1))).BestLoss));

    [Theory]
    [InlineData("\"adamw_8bit\"", "null")]
    [InlineData("\"samples_at_once\": 2", "\"samples_at_once\": \"two\"")]
    [InlineData("\"loss_chunk_rows\": 64,", "")]
    public void Settings_of_another_kind_are_refused(string from, string to)
    {
        string text = TrainerStateFile.Format(Sample, 8, 10, 200, 200), damaged = text.Replace(from, to, StringComparison.Ordinal);
        Assert.NotEqual(text, damaged);
        Assert.Throws<CheckpointException>(() => TrainerStateFile.Read(Write(damaged)));
    }

    // As an earlier version wrote it.
    [Fact]
    public void A_state_without_settings_reads() => Assert.Null(TrainerStateFile.Read(Write(TrainerStateFile.Format(Sample with { Settings = null }, 8, 10, 200, 200))).Settings);

    [Fact]
    public void Keys_are_those_of_huggingface_sorted_and_indented_by_two()
    {
        string text = TrainerStateFile.Format(Sample, 8, 10, 200, 200);
        using JsonDocument document = JsonDocument.Parse(text);
        string[] keys = [.. document.RootElement.EnumerateObject().Select(field => field.Name)];
        Assert.Equal(
            ["best_global_step", "best_metric", "best_model_checkpoint", "epoch", "eval_steps", "global_step", "is_hyper_param_search", "is_local_process_zero",
                "is_world_process_zero", "log_history", "logging_steps", "max_steps", "num_input_tokens_seen", "num_train_epochs", "save_steps", "stateful_callbacks",
                "total_flos", "train_batch_size", "trial_name", "trial_params"],
            keys);
        Assert.StartsWith("{\n  \"best_global_step\": 20,\n", text, StringComparison.Ordinal);
        JsonElement log = document.RootElement.GetProperty("log_history");
        Assert.Equal(["epoch", "grad_norm", "learning_rate", "loss", "step"], log[0].EnumerateObject().Select(field => field.Name));
        Assert.Equal(["epoch", "eval_loss", "step"], log[1].EnumerateObject().Select(field => field.Name));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("{\"stateful_callbacks\": {\"GemmaCore\": {}}, \"global_step\": \"x\"}")]
    [InlineData("{\"stateful_callbacks\": 3}")]
    public void Another_file_is_one_clear_error(string text)
    {
        string path = Write(text);
        Assert.StartsWith(path, Assert.Throws<CheckpointException>(() => TrainerStateFile.Read(path)).Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Write(string text)
    {
        string path = Path.Combine(_folder, TrainerStateFile.Name);
        File.WriteAllText(path, text);
        return path;
    }
}
