using System.Text.Json.Nodes;

namespace GemmaCore.Cli;

/// <summary>One task's scores.</summary>
/// <param name="Dataset">Name of the set.</param>
/// <param name="TaskType">Canonical family.</param>
/// <param name="Metric">What <paramref name="Before"/> and <paramref name="After"/> measure.</param>
/// <param name="Rows">Questions asked.</param>
/// <param name="Trained">Whether the adapter was trained on it.</param>
/// <param name="Before">Score of the base.</param>
/// <param name="After">Score with the adapter.</param>
internal sealed record DemoTask(string Dataset, string TaskType, string Metric, int Rows, bool Trained, double Before, double After);

/// <summary>What <c>report.json</c> holds (shape: spec/cli.md).</summary>
internal sealed record DemoReport
{
    /// <summary>Few questions and steps, so that the scores mean nothing; then, and only then, the file says <c>"smoke": true</c>.</summary>
    public required bool Smoke { get; init; }

    public required string Device { get; init; }

    public required string Precision { get; init; }

    /// <summary>Form of the base's linear layers; the file names it only when it is a quantised one.</summary>
    public required string Weights { get; init; }

    public required double TotalSeconds { get; init; }

    public required double BeforeSeconds { get; init; }

    public required double TrainSeconds { get; init; }

    public required double AfterSeconds { get; init; }

    public required long PeakMemoryBytes { get; init; }

    public required IReadOnlyList<DemoTask> Tasks { get; init; }

    public required int Steps { get; init; }

    public required int Rows { get; init; }

    public required int Seed { get; init; }

    public required IReadOnlyList<double> Loss { get; init; }

    public required (string Image, string Question, string Reference, string Before, string After) Sample { get; init; }

    public JsonObject ToJson()
    {
        var report = new JsonObject
        {
            ["device"] = Device,
            ["precision"] = Precision,
            ["seconds"] = new JsonObject
            {
                ["total"] = TotalSeconds, ["evaluate_before"] = BeforeSeconds, ["train"] = TrainSeconds, ["evaluate_after"] = AfterSeconds,
            },
            ["peak_memory_bytes"] = PeakMemoryBytes,
            ["tasks"] = new JsonArray([.. Tasks.Select(task => (JsonNode)new JsonObject
            {
                ["dataset"] = task.Dataset, ["task_type"] = task.TaskType, ["metric"] = task.Metric, ["rows"] = task.Rows,
                ["trained"] = task.Trained, ["before"] = task.Before, ["after"] = task.After,
            })]),
            ["training"] = new JsonObject { ["steps"] = Steps, ["rows"] = Rows, ["seed"] = Seed, ["loss"] = new JsonArray([.. Loss.Select(loss => (JsonNode)loss)]) },
        };
        if (Smoke) report["smoke"] = true;
        if (Weights is not ("f32" or "bf16" or "f16")) report["weights"] = Weights;
        return report;
    }
}
