namespace GemmaCore.Evaluation;

/// <summary>Several labels a row, as sets.</summary>
/// <param name="labels">Reads an answer.</param>
/// <param name="micro">Counts summed over all rows (the challenge), or the mean over rows of each row's rates (both baselines).</param>
/// <param name="skipEmptyReferences">Leaves out rows whose reference names no label (2025).</param>
/// <param name="skipMissing">Leaves out rows without a prediction (the challenge).</param>
public sealed class LabelScoring(Func<string, IReadOnlySet<string>> labels, bool micro, bool skipEmptyReferences, bool skipMissing) : TaskScoring
{
    /// <inheritdoc/>
    public override string Task => TaskType.MultiLabelClassification.Name();

    /// <inheritdoc/>
    public override IReadOnlyList<string> Metrics => ["multi_label_f1_score", "multi_label_precision", "multi_label_recall"];

    /// <inheritdoc/>
    public override IReadOnlyList<(string Name, string Other)> Aliases => [("multi_label_f1_score", "f1_score")];

    /// <inheritdoc/>
    public override ScoredRow Read(EvaluationRow row)
    {
        ArgumentNullException.ThrowIfNull(row);
        IReadOnlySet<string> expected = labels(row.Reference), given = labels(row.Prediction ?? "");
        string reference = AnswerText.FormatLabels(expected), prediction = row.Prediction is null ? "" : AnswerText.FormatLabels(given);
        if ((skipMissing && row.Prediction is null) || (skipEmptyReferences && expected.Count == 0)) return new ScoredRow(row, reference, prediction, false, null, new double[4]);
        int common = expected.Count(given.Contains);
        (double precision, double recall, double f1) = expected.Count + given.Count == 0
            ? (1, 1, 1)
            : SummedSample.Rates(common, given.Count - common, expected.Count - common);
        double[] terms = micro ? [1, common, given.Count - common, expected.Count - common] : [1, f1, precision, recall];
        return new ScoredRow(row, reference, prediction, row.Prediction is not null, f1, terms);
    }

    /// <inheritdoc/>
    public override TaskSample Sample(IReadOnlyList<ScoredRow> rows) => new SummedSample(rows, 4, micro ? Micro : Means(skipEmptyReferences ? 0 : double.NaN));

    private static void Micro(ReadOnlySpan<double> sums, double rows, Span<double> values)
    {
        (double precision, double recall, double f1) = SummedSample.Rates(sums[1], sums[2], sums[3]);
        (values[0], values[1], values[2]) = sums[0] == 0 ? (double.NaN, double.NaN, double.NaN) : (f1, precision, recall);
    }

    // With nothing left the rules of 2025 say 0, and the others nothing.
    private static Figures Means(double ofNothing) => (sums, _, values) =>
    {
        for (int i = 0; i < 3; i++) values[i] = sums[0] == 0 ? ofNothing : sums[i + 1] / sums[0];
    };
}
