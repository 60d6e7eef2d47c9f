namespace GemmaCore.Evaluation;

/// <summary>The score of one data set.</summary>
/// <param name="Name">Metric, e.g. <c>f1_iou_0.5</c>.</param>
/// <param name="Value">Its value.</param>
/// <param name="Rows">Rows scored.</param>
/// <param name="Parsed">Rows whose prediction could be read as an answer of this task.</param>
/// <param name="LowerIsBetter">True for errors, false for rates.</param>
public sealed record MetricResult(string Name, double Value, int Rows, int Parsed, bool LowerIsBetter);

/// <summary>The metrics of the 2026 rules that the demo reports (flare.md §6); the whole of them is <see cref="Evaluator"/>.</summary>
public static class TaskMetric
{
    /// <summary>
    /// The main metric of a task: accuracy, multi-label F1, F1 at IoU 0.5, mean absolute error; exact match for reports. Rows with a blank reference
    /// are left out, as in flare.md §5.
    /// </summary>
    /// <exception cref="FormatException">A reference cannot be read as an answer of this task.</exception>
    public static MetricResult Score(TaskType task, IReadOnlyList<(string Reference, string Prediction)> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        (string Reference, string Prediction)[] answered = [.. rows.Where(row => !string.IsNullOrWhiteSpace(row.Reference))];
        return task switch
        {
            TaskType.Classification => Accuracy(answered),
            TaskType.MultiLabelClassification => MultiLabelF1(answered),
            TaskType.Detection => DetectionF1(answered, 0.5),
            TaskType.Counting or TaskType.Regression => MeanAbsoluteError(answered),
            _ => ExactMatch(answered),
        };
    }

    /// <summary>Share of predictions equal to the reference, both trimmed.</summary>
    public static MetricResult ExactMatch(IReadOnlyList<(string Reference, string Prediction)> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return Rate("exact_match", rows.Count(row => row.Reference.Trim() == row.Prediction.Trim()), rows.Count, rows.Count);
    }

    /// <summary>Share of predictions equal to the reference after <see cref="AnswerText.Normalise"/>; no option letter is extracted.</summary>
    public static MetricResult Accuracy(IReadOnlyList<(string Reference, string Prediction)> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        int hits = rows.Count(row => AnswerText.Normalise(row.Reference) == AnswerText.Normalise(row.Prediction));
        return Rate("classification_accuracy", hits, rows.Count, rows.Count);
    }

    /// <summary>Mean over rows of the F1 of two label sets; two empty sets agree fully.</summary>
    public static MetricResult MultiLabelF1(IReadOnlyList<(string Reference, string Prediction)> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        double sum = 0;
        foreach ((string reference, string prediction) in rows)
        {
            IReadOnlySet<string> expected = AnswerText.Labels(reference), given = AnswerText.Labels(prediction);
            int common = expected.Count(given.Contains);
            sum += expected.Count + given.Count == 0 ? 1 : 2.0 * common / (expected.Count + given.Count);
        }

        return Rate("multi_label_f1_score", sum, rows.Count, rows.Count);
    }

    /// <summary>
    /// F1 of boxes matched at an IoU of at least <paramref name="threshold"/>: pairs of compatible labels, best IoU first, each box once; counts are
    /// summed over all rows.
    /// </summary>
    /// <exception cref="FormatException">A reference holds no boxes that can be read.</exception>
    public static MetricResult DetectionF1(IReadOnlyList<(string Reference, string Prediction)> rows, double threshold)
    {
        ArgumentNullException.ThrowIfNull(rows);
        int matched = 0, expected = 0, given = 0, parsed = 0;
        foreach ((string reference, string prediction) in rows)
        {
            IReadOnlyList<Box> references = Boxes.Parse(reference) ?? throw new FormatException($"the reference '{reference}' holds no readable boxes");
            IReadOnlyList<Box>? predictions = Boxes.Parse(prediction);
            if (predictions is not null) parsed++;
            matched += BoxMatching.BestPairs(references, predictions ?? [], [threshold])[0];
            expected += references.Count;
            given += predictions?.Count ?? 0;
        }

        double f1 = expected + given == 0 ? 0 : 2.0 * matched / (expected + given);
        return new MetricResult(FormattableString.Invariant($"f1_iou_{threshold}"), f1, rows.Count, parsed, false);
    }

    /// <summary>Mean |reference − prediction|; a prediction without a number counts as 0.</summary>
    /// <exception cref="FormatException">A reference holds no number.</exception>
    public static MetricResult MeanAbsoluteError(IReadOnlyList<(string Reference, string Prediction)> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        double sum = 0;
        int parsed = 0;
        foreach ((string reference, string prediction) in rows)
        {
            double expected = AnswerText.Number(reference) ?? throw new FormatException($"the reference '{reference}' holds no number");
            double? given = AnswerText.Number(prediction);
            if (given is not null) parsed++;
            sum += Math.Abs(expected - (given ?? 0));
        }

        return new MetricResult("mean_absolute_error", rows.Count == 0 ? 0 : sum / rows.Count, rows.Count, parsed, true);
    }

    private static MetricResult Rate(string name, double sum, int rows, int parsed) => new(name, rows == 0 ? 0 : sum / rows, rows, parsed, false);
}
