using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace GemmaCore.Evaluation;

/// <summary>
/// The two files of the 2026 baseline, <c>scores.json</c> and <c>details.json</c> (flare.md §5). Numbers that JSON cannot hold are written as the text
/// <c>"Infinity"</c>; metrics without a value are left out.
/// </summary>
public static class ScoreFiles
{
    private static readonly JsonSerializerOptions Layout = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary><c>{"mean": {metric: value}, "per_split": {split: {metric: value}}}</c>, every metric under all its published names.</summary>
    public static JsonObject Scores(EvaluationResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        ILookup<string, string> aliases = Aliases(result);
        var perSplit = new JsonObject();
        foreach (IGrouping<string, GroupScore> split in Splits(result)) perSplit[split.Key] = Plain(split.SelectMany(group => group.Metrics), aliases);
        return new JsonObject { ["mean"] = Plain(result.Mean, aliases), ["per_split"] = perSplit };
    }

    /// <summary>
    /// The baseline's <c>metrics</c>, <c>mean_metrics</c>, <c>by_task</c>, <c>split_results</c> and <c>num_…</c>, then what it has not: scores with intervals and counts by split, data set and
    /// modality; confusion matrices; detection by label; what did not fit.
    /// </summary>
    /// <param name="result">The evaluation.</param>
    /// <param name="run">What was evaluated: files, seed, resamples.</param>
    public static JsonObject Details(EvaluationResult result, JsonObject run)
    {
        ArgumentNullException.ThrowIfNull(result);
        string[] splits = [.. Splits(result).Select(split => split.Key)];
        ILookup<string, string> aliases = Aliases(result);
        return new JsonObject
        {
            ["metrics"] = Plain(result.Mean, aliases),
            ["mean_metrics"] = Plain(result.Mean, aliases),
            ["by_task"] = Tasks(result),
            ["split_results"] = new JsonObject(Splits(result).Select(split => KeyValuePair.Create(split.Key, (JsonNode?)SplitResult(split, aliases)))),
            ["num_rows"] = result.Rows.Count,
            ["num_splits"] = splits.Length,
            ["num_tasks"] = result.Of(GroupKind.Split).Select(group => group.Scoring.Task).Distinct().Count(),
            ["rules"] = result.Rules.Name,
            ["run"] = run,
            ["rows"] = result.Rows.Count,
            ["unscored_rows"] = new JsonObject(result.Unscored.Select(item => KeyValuePair.Create(item.Task, (JsonNode?)item.Rows))),
            ["notes"] = new JsonArray([.. result.Notes.Select(note => (JsonNode)note)]),
            ["mean_over"] = result.Rules.MeanOverDatasets ? "datasets" : "splits",
            ["mean"] = Metrics(result.Mean),
            ["per_split"] = Groups(result, GroupKind.Split),
            ["per_dataset"] = Groups(result, GroupKind.Dataset),
            ["per_modality"] = Groups(result, GroupKind.Modality),
            ["confusion_matrices"] = new JsonArray([.. ConfusionMatrix.Of(result).Select(Matrix)]),
            ["detection_per_label_iou_0.3"] = new JsonObject(splits.Select(split => KeyValuePair.Create(split, (JsonNode?)new JsonArray([.. LabelTable.Of(result, split).Select(Label)])))
                .Where(entry => entry.Value!.AsArray().Count > 0)),
            ["label_curves"] = new JsonArray([.. LabelCurves.Of(result).Select(CurveFile.Json)]),
        };
    }

    /// <summary>JSON as the files hold it.</summary>
    public static string Text(JsonNode json)
    {
        ArgumentNullException.ThrowIfNull(json);
        return json.ToJsonString(Layout) + "\n";
    }

    internal static JsonNode Number(double value) => double.IsFinite(value) ? JsonValue.Create(value) : JsonValue.Create(value.ToString(CultureInfo.InvariantCulture));

    private static JsonObject Plain(IEnumerable<MetricValue> metrics, ILookup<string, string> aliases)
    {
        var written = new JsonObject();
        foreach (MetricValue metric in metrics.Where(metric => !double.IsNaN(metric.Value)))
            foreach (string name in aliases[metric.Name].Prepend(metric.Name)) written[name] = Number(metric.Value);
        return written;
    }

    private static ILookup<string, string> Aliases(EvaluationResult result) => result.Rules.Scorings.Values.SelectMany(scoring => scoring.Aliases).ToLookup(pair => pair.Name, pair => pair.Other);

    private static IEnumerable<IGrouping<string, GroupScore>> Splits(EvaluationResult result) => result.Of(GroupKind.Split).GroupBy(group => group.Name);

    private static JsonObject Tasks(EvaluationResult result)
    {
        var written = new JsonObject();
        foreach (IGrouping<string, GroupScore> task in result.Of(GroupKind.Split).GroupBy(group => group.Scoring.Task).OrderBy(group => group.Key, StringComparer.Ordinal))
        {
            GroupScore[] scored = [.. task.Where(group => !double.IsNaN(group.Metrics[0].Value))];
            written[task.Key] = new JsonObject
            {
                ["metric"] = task.First().Scoring.PublishedMetric,
                ["value"] = scored.Length > 0 ? Number(result.Mean.First(metric => metric.Name == scored[0].Scoring.Metrics[0]).Value) : null,
                ["count"] = task.Sum(group => group.Rows.Count),
                ["per_split"] = new JsonObject(scored.Select(group => KeyValuePair.Create(group.Name, (JsonNode?)Number(group.Metrics[0].Value)))),
            };
        }

        return written;
    }

    private static JsonObject SplitResult(IGrouping<string, GroupScore> split, ILookup<string, string> aliases) => new()
    {
        ["metrics"] = Plain(split.SelectMany(group => group.Metrics), aliases),
        ["by_task"] = new JsonObject(split.Select(group => KeyValuePair.Create(group.Scoring.Task, (JsonNode?)new JsonObject
        {
            ["metric"] = group.Scoring.PublishedMetric,
            ["value"] = double.IsNaN(group.Metrics[0].Value) ? null : Number(group.Metrics[0].Value),
            ["count"] = group.Rows.Count,
            ["metrics"] = Plain(group.Metrics, aliases),
        }))),
        ["num_rows"] = split.Sum(group => group.Rows.Count),
        ["num_tasks"] = split.Count(),
        ["split"] = split.Key,
    };

    private static JsonObject Groups(EvaluationResult result, GroupKind kind)
    {
        var written = new JsonObject();
        foreach (IGrouping<string, GroupScore> name in result.Of(kind).GroupBy(group => group.Name))
        {
            written[name.Key] = new JsonObject(name.Select(group => KeyValuePair.Create(group.Scoring.Task, (JsonNode?)new JsonObject
            {
                ["rows"] = group.Rows.Count,
                ["parsed"] = group.Parsed,
                ["left_out"] = group.Rows.Count(row => row.Score is null),
                ["metrics"] = Metrics(group.Metrics),
            })));
        }

        return written;
    }

    private static JsonObject Metrics(IEnumerable<MetricValue> metrics) =>
        new(metrics.Where(metric => !double.IsNaN(metric.Value)).Select(metric => KeyValuePair.Create(metric.Name, (JsonNode?)Metric(metric))));

    private static JsonObject Metric(MetricValue metric)
    {
        var written = new JsonObject { ["value"] = Number(metric.Value) };
        if (metric.Interval is { } interval) written["interval"] = Pair(interval);
        if (metric.Other is not { } other) return written;
        written["compared"] = Number(other);
        written["difference"] = Number(metric.Value - other);
        if (metric.Difference is { } difference) written["difference_interval"] = Pair(difference);
        return written;
    }

    private static JsonArray Pair(Interval interval) => [Number(interval.Low), Number(interval.High)];

    private static JsonNode Matrix(ConfusionMatrix matrix) => new JsonObject
    {
        ["dataset"] = matrix.Dataset,
        ["labels"] = new JsonArray([.. matrix.Labels.Select(label => (JsonNode)label)]),
        ["columns"] = "predicted labels in the same order, then any other text",
        ["counts"] = new JsonArray([.. matrix.Counts.Select(row => (JsonNode)new JsonArray([.. row.Select(count => (JsonNode)count)]))]),
    };

    private static JsonNode Label(LabelTable label)
    {
        (double precision, double recall, double f1) = SummedSample.Rates(label.Found, label.Invented, label.Missed);
        return new JsonObject
        {
            ["task"] = label.Task, ["label"] = label.Label, ["tp"] = label.Found, ["fp"] = label.Invented, ["fn"] = label.Missed,
            ["precision"] = precision, ["recall"] = recall, ["f1_score"] = f1,
        };
    }
}
