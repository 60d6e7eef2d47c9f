using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Training.Planning;

namespace GemmaCore.Training.RunFiles;

/// <summary><c>trainer_state.json</c> with Hugging Face's field names, sorted, indented by two; what only we need stands under <c>stateful_callbacks</c>.</summary>
public static class TrainerStateFile
{
    /// <summary>Name of the file.</summary>
    public const string Name = "trainer_state.json";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, IndentSize = 2 };
    private static readonly JsonSerializerOptions Snake = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true };

    /// <summary>The file's text.</summary>
    public static string Format(RunState state, int batchSize, int loggingSteps, int saveSteps, int evalSteps)
    {
        ArgumentNullException.ThrowIfNull(state);
        bool hasBest = !double.IsNaN(state.BestLoss);
        var own = new JsonObject { ["evaluations_without_improvement"] = state.EvaluationsWithoutImprovement };
        if (state.Settings is { } settings) own["settings"] = JsonSerializer.SerializeToNode(settings, Snake);
        own["window_loss"] = state.WindowLoss;
        own["window_steps"] = state.WindowSteps;
        var root = new JsonObject
        {
            ["best_global_step"] = hasBest ? state.BestStep : null,
            ["best_metric"] = hasBest ? state.BestLoss : null,
            ["best_model_checkpoint"] = hasBest ? $"checkpoint-{state.BestStep}" : null,
            ["epoch"] = state.Epoch,
            ["eval_steps"] = evalSteps,
            ["global_step"] = state.Step,
            ["is_hyper_param_search"] = false,
            ["is_local_process_zero"] = true,
            ["is_world_process_zero"] = true,
            ["log_history"] = new JsonArray([.. state.Log.Select(entry => (JsonNode)ToJson(entry))]),
            ["logging_steps"] = loggingSteps,
            ["max_steps"] = state.MaxSteps,
            ["num_input_tokens_seen"] = state.TokenCount,
            ["num_train_epochs"] = state.Epoch,
            ["save_steps"] = saveSteps,
            ["stateful_callbacks"] = new JsonObject { ["GemmaCore"] = own },
            ["total_flos"] = 0,
            ["train_batch_size"] = batchSize,
            ["trial_name"] = null,
            ["trial_params"] = null,
        };
        return root.ToJsonString(Indented) + "\n";
    }

    /// <summary>Reads what <see cref="Format"/> wrote.</summary>
    /// <exception cref="CheckpointException">It is something else.</exception>
    public static RunState Read(string path)
    {
        try
        {
            JsonNode root = JsonNode.Parse(File.ReadAllText(path))!;
            JsonNode own = root["stateful_callbacks"]!["GemmaCore"]!;
            return new RunState
            {
                Step = root["global_step"]!.GetValue<int>(),
                MaxSteps = root["max_steps"]!.GetValue<int>(),
                Epoch = root["epoch"]!.GetValue<double>(),
                TokenCount = root["num_input_tokens_seen"]!.GetValue<long>(),
                BestLoss = root["best_metric"]?.GetValue<double>() ?? double.NaN,
                BestStep = root["best_global_step"]?.GetValue<int>() ?? 0,
                EvaluationsWithoutImprovement = own["evaluations_without_improvement"]!.GetValue<int>(),
                Settings = own["settings"].Deserialize<PlannedSettings>(Snake),
                WindowLoss = own["window_loss"]!.GetValue<double>(),
                WindowSteps = own["window_steps"]!.GetValue<int>(),
                Log = [.. root["log_history"]!.AsArray().Select(entry => FromJson(entry!))],
            };
        }
        catch (Exception error) when (error is JsonException or NullReferenceException or InvalidOperationException or FormatException)
        {
            throw new CheckpointException($"{path}: not a trainer state written by GemmaCore: {error.Message}", error);
        }
    }

    /// <summary>A log line as JSON; keys sorted.</summary>
    public static JsonObject ToJson(LogEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        var json = new JsonObject { ["epoch"] = entry.Epoch };
        if (entry.EvalLoss is { } evalLoss) json["eval_loss"] = evalLoss;
        if (entry.GradNorm is { } norm) json["grad_norm"] = norm;
        if (entry.LearningRate is { } rate) json["learning_rate"] = rate;
        if (entry.Loss is { } loss) json["loss"] = loss;
        json["step"] = entry.Step;
        return json;
    }

    private static LogEntry FromJson(JsonNode entry) => new(
        entry["step"]!.GetValue<int>(),
        entry["epoch"]!.GetValue<double>(),
        entry["loss"]?.GetValue<double>(),
        entry["grad_norm"]?.GetValue<double>(),
        entry["learning_rate"]?.GetValue<double>(),
        entry["eval_loss"]?.GetValue<double>());
}
