namespace GemmaCore.Evaluation;

/// <summary>One label of a data set, scored by its probability.</summary>
/// <param name="Label">The label.</param>
/// <param name="Curve">Area with interval.</param>
/// <param name="AtHalf">Sensitivity and specificity at probability ½.</param>
public sealed record LabelCurve(string Label, AreaUnderCurve Curve, OperatingPoint AtHalf);

/// <summary>
/// What the probabilities of a data set's answers are worth (flare.md §9): area under the curve by label and their plain mean; calibration of classification. Rows
/// without <c>scores</c> take no part.
/// </summary>
/// <param name="Dataset">The data set.</param>
/// <param name="Task">Classification or multi-label classification.</param>
/// <param name="Rows">Rows with scores.</param>
/// <param name="MacroArea">Mean area over labels that have both classes; NaN where none has.</param>
/// <param name="Labels">By label.</param>
/// <param name="Skipped">Labels with one class only, which have no area.</param>
/// <param name="Calibration">Of the most likely option; null for multi-label.</param>
public sealed record LabelCurves(
    string Dataset, TaskType Task, int Rows, double MacroArea, IReadOnlyList<LabelCurve> Labels, IReadOnlyList<string> Skipped, Calibration? Calibration)
{
    /// <summary>The curves of every data set whose predictions have scores.</summary>
    public static IEnumerable<LabelCurves> Of(EvaluationResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        foreach (IGrouping<(string Dataset, TaskType Task), ScoredRow> set in result.Rows.Where(row => row.Row.Scores.Count > 0)
            .GroupBy(row => (row.Row.Dataset, row.Row.Task)).OrderBy(group => group.Key.Dataset, StringComparer.Ordinal))
        {
            if (set.Key.Task is TaskType.Classification or TaskType.MultiLabelClassification) yield return Of(set.Key.Dataset, set.Key.Task, [.. set]);
        }
    }

    private static LabelCurves Of(string dataset, TaskType task, ScoredRow[] rows)
    {
        bool single = task == TaskType.Classification;
        var labels = new List<LabelCurve>();
        var skipped = new List<string>();
        // Options are normalised: "A" of the scores is "a" of the references.
        Dictionary<string, double>[] probabilities = [.. rows.Select(row => Probabilities(row.Row.Scores, single))];
        IReadOnlySet<string>[] expected = [.. rows.Select(row => single ? new HashSet<string> { AnswerText.Normalise(row.Row.Reference) } : AnswerText.Labels(row.Row.Reference))];
        foreach (string label in probabilities.SelectMany(row => row.Keys).Distinct().Order(StringComparer.Ordinal))
        {
            int[] asked = [.. Enumerable.Range(0, rows.Length).Where(i => probabilities[i].ContainsKey(label))];
            double[] scores = [.. asked.Select(i => probabilities[i][label])];
            bool[] positive = [.. asked.Select(i => expected[i].Contains(label))];
            if (RocCurve.Area(scores, positive) is { } curve) labels.Add(new LabelCurve(label, curve, RocCurve.At(scores, positive, 0.5)));
            else skipped.Add(label);
        }

        double macro = labels.Count == 0 ? double.NaN : labels.Average(label => label.Curve.Area);
        return new LabelCurves(dataset, task, rows.Length, macro, labels, skipped, single ? Calibrate(rows) : null);
    }

    // Options exclude each other, so their probabilities are made to add up to 1; labels of a multi-label question do not.
    private static Dictionary<string, double> Probabilities(IReadOnlyDictionary<string, double> scores, bool single)
    {
        (string Label, double Score)[] sorted = [.. scores.Select(score => (AnswerText.Normalise(score.Key), score.Value))];
        double[] values = single ? Calibration.Softmax([.. sorted.Select(item => item.Score)]) : [.. sorted.Select(item => Math.Exp(item.Score))];
        var probabilities = new Dictionary<string, double>(StringComparer.Ordinal);
        for (int i = 0; i < sorted.Length; i++) probabilities[sorted[i].Label] = values[i];
        return probabilities;
    }

    private static Calibration? Calibrate(ScoredRow[] rows) => Evaluation.Calibration.Of(
    [
        .. rows.Select(row => (row.Row.Scores.Values.ToArray(), Array.IndexOf([.. row.Row.Scores.Keys.Select(AnswerText.Normalise)], AnswerText.Normalise(row.Row.Reference)))),
    ]);
}
