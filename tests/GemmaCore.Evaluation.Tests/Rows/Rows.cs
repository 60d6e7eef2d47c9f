namespace GemmaCore.Evaluation.Tests;

/// <summary>Evaluation rows made from little.</summary>
internal static class Rows
{
    public static EvaluationRow Row(TaskType task, string reference, string? prediction, int number = 0, string split = "testing", string dataset = "set", bool instance = false) => new(
        $"{split}:{dataset}:file:case_{number:D6}:{task.Name()}:{number}", $"file: row {number}", split, dataset, "X-ray", task, instance, reference, prediction);

    public static MatchedRows Matched(IEnumerable<EvaluationRow> rows) => new([.. rows.OrderBy(row => row.Uid, StringComparer.Ordinal)], [], [], []);

    public static MatchedRows Matched(TaskType task, params (string Reference, string? Prediction)[] pairs) =>
        Matched(pairs.Select((pair, index) => Row(task, pair.Reference, pair.Prediction, index)));

    /// <summary>A metric of some rows of one task.</summary>
    public static double Metric(ScoringRules rules, TaskType task, string metric, params (string Reference, string? Prediction)[] pairs) =>
        new Evaluator(rules, 0, 0).Score(Matched(task, pairs)).Mean.First(value => value.Name == metric).Value;

    /// <summary>The same for instance detection.</summary>
    public static double InstanceMetric(ScoringRules rules, string metric, params (string Reference, string? Prediction)[] pairs) =>
        new Evaluator(rules, 0, 0).Score(Matched(pairs.Select((pair, index) => Row(TaskType.Detection, pair.Reference, pair.Prediction, index, instance: true))))
            .Mean.First(value => value.Name == metric).Value;
}
