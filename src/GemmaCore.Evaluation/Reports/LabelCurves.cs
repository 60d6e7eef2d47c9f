using GemmaCore.Evaluation.Probabilities;

namespace GemmaCore.Evaluation;

/// <summary>One label of a data set, scored by its probability.</summary>
/// <param name="Label">The label.</param>
/// <param name="Area">Area under the ROC curve.</param>
/// <param name="Interval">DeLong's 95 % interval; not a number with fewer than two rows of a class.</param>
/// <param name="Positives">Rows that have the label.</param>
/// <param name="Negatives">Rows that do not.</param>
/// <param name="Sensitivity">Positives whose probability reaches the threshold.</param>
/// <param name="Specificity">Negatives with one below.</param>
public sealed record LabelCurve(string Label, double Area, Interval Interval, int Positives, int Negatives, double Sensitivity, double Specificity)
{
    /// <summary>The threshold.</summary>
    public double Threshold { get; init; } = 0.5;
}

/// <summary>Whether the probabilities of the most likely options mean what they say.</summary>
/// <param name="Bins">The reliability diagram.</param>
/// <param name="ExpectedError">Expected calibration error.</param>
/// <param name="Temperature">What to divide log-probabilities by to fit these rows best; not a number where no row's right option was scored.</param>
/// <param name="ErrorAtTemperature">The error then, on the same rows.</param>
public sealed record CalibrationSummary(IReadOnlyList<ReliabilityBin> Bins, double ExpectedError, double Temperature, double ErrorAtTemperature);

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
    string Dataset, TaskType Task, int Rows, double MacroArea, IReadOnlyList<LabelCurve> Labels, IReadOnlyList<string> Skipped, CalibrationSummary? Calibration)
{
    /// <summary>The curves of every data set whose predictions have scores.</summary>
    public static IEnumerable<LabelCurves> Of(EvaluationResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        foreach (IGrouping<(string Dataset, TaskType Task), ScoredRow> set in result.Rows.Where(row => row.Row.Scores.Count > 0)
            .GroupBy(row => (row.Row.Dataset, row.Row.Task)).OrderBy(group => group.Key.Dataset, StringComparer.Ordinal))
        {
            if (set.Key.Task is TaskType.Classification or TaskType.MultiLabelClassification) yield return Of(set.Key.Dataset, set.Key.Task, [.. set.Select(row => row.Row)], result.LabelThreshold);
        }
    }

    private static LabelCurves Of(string dataset, TaskType task, EvaluationRow[] rows, double threshold)
    {
        bool single = task == TaskType.Classification;
        var labels = new List<LabelCurve>();
        var skipped = new List<string>();
        Dictionary<string, double>[] probabilities = [.. rows.Select(row => Probabilities(row.Scores, single))];
        IReadOnlySet<string>[] expected = [.. rows.Select(row => single ? new HashSet<string> { AnswerText.Normalise(row.Reference) } : AnswerText.Labels(row.Reference))];
        foreach (string label in probabilities.SelectMany(row => row.Keys).Distinct().Order(StringComparer.Ordinal))
        {
            int[] asked = [.. Enumerable.Range(0, rows.Length).Where(i => probabilities[i].ContainsKey(label))];
            bool[] positive = [.. asked.Select(i => expected[i].Contains(label))];
            if (positive.Distinct().Count() == 2) labels.Add(Curve(label, threshold, [.. asked.Select(i => probabilities[i][label])], positive));
            else skipped.Add(label);
        }

        double macro = labels.Count == 0 ? double.NaN : labels.Average(label => label.Area);
        return new LabelCurves(dataset, task, rows.Length, macro, labels, skipped, single ? Calibrate(rows) : null);
    }

    private static LabelCurve Curve(string label, double threshold, double[] scores, bool[] positive)
    {
        var curve = new RocCurve(label, scores, positive);
        (double sensitivity, double specificity) = curve.At(threshold);
        return new LabelCurve(label, curve.Auc, new Interval(curve.Interval.Low, curve.Interval.High), positive.Count(one => one), positive.Count(one => !one), sensitivity, specificity) { Threshold = threshold };
    }

    // Options exclude each other, so their probabilities are made to add up to 1; labels of a multi-label question do not. "A" of the scores is "a" of the references.
    private static Dictionary<string, double> Probabilities(IReadOnlyDictionary<string, double> scores, bool single)
    {
        double[] values = single ? Softmax([.. scores.Values], 1) : [.. scores.Values.Select(Math.Exp)];
        var probabilities = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach ((string label, double value) in scores.Keys.Zip(values)) probabilities[AnswerText.Normalise(label)] = value;
        return probabilities;
    }

    private static CalibrationSummary Calibrate(EvaluationRow[] rows)
    {
        double[][] logits = [.. rows.Select(row => row.Scores.Values.ToArray())];
        int[] right = [.. rows.Select(row => Array.IndexOf([.. row.Scores.Keys.Select(AnswerText.Normalise)], AnswerText.Normalise(row.Reference)))];
        // A right option without any probability has no likelihood at any temperature.
        int[] known = [.. Enumerable.Range(0, rows.Length).Where(i => right[i] >= 0 && double.IsFinite(logits[i][right[i]]))];
        double temperature = known.Length == 0 ? double.NaN : Evaluation.Probabilities.Calibration.BestTemperature([.. known.Select(i => logits[i])], [.. known.Select(i => right[i])]);
        ReliabilityBin[] bins = Bins(logits, right, 1), then = Bins(logits, right, double.IsNaN(temperature) ? 1 : temperature);
        return new CalibrationSummary(
            bins, Evaluation.Probabilities.Calibration.ExpectedError(bins), temperature, Evaluation.Probabilities.Calibration.ExpectedError(then));
    }

    private static ReliabilityBin[] Bins(double[][] logits, int[] right, double temperature)
    {
        double[][] probabilities = [.. logits.Select(row => Softmax(row, temperature))];
        return Evaluation.Probabilities.Calibration.Reliability(
            [.. probabilities.Select(row => Math.Min(1, row.Max()))], [.. probabilities.Select((row, index) => Array.IndexOf(row, row.Max()) == right[index])]);
    }

    // The largest is taken out first; where all are impossible they are equally likely.
    private static double[] Softmax(double[] logits, double temperature)
    {
        double largest = logits.Max();
        double[] weights = [.. logits.Select(logit => logit == largest ? 1 : Math.Exp((logit - largest) / temperature))];
        double sum = weights.Sum();
        return [.. weights.Select(weight => weight / sum)];
    }
}
