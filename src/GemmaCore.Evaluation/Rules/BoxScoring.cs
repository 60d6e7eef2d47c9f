using System.Globalization;

namespace GemmaCore.Evaluation;

/// <summary>What one row of boxes adds to the counts.</summary>
/// <param name="References">Boxes of the reference.</param>
/// <param name="Predictions">Boxes of the prediction; null where it could not be read, which counts as none.</param>
/// <param name="Matched">Pairs at each threshold.</param>
/// <param name="ReferenceCount">Boxes expected, entries that are no boxes included.</param>
/// <param name="PredictionCount">Boxes given, entries that are no boxes included.</param>
public sealed record BoxCounts(IReadOnlyList<Box> References, IReadOnlyList<Box>? Predictions, int[] Matched, int ReferenceCount, int PredictionCount)
{
    /// <summary>Counts of entries, those that are no boxes (<see cref="Box.None"/>) included.</summary>
    public BoxCounts(IReadOnlyList<Box> references, IReadOnlyList<Box>? predictions, int[] matched)
        : this(Readable(references)!, Readable(predictions), matched, references.Count, predictions?.Count ?? 0)
    {
    }

    private static Box[]? Readable(IReadOnlyList<Box>? entries) => entries is null ? null : [.. entries.Where(box => !box.IsNone)];
}

/// <summary>Detection: counts of boxes found, invented and missed, summed over all rows, then precision, recall and F1 (flare.md §6.4).</summary>
/// <param name="task">Name of the task in reports, and beginning of its metrics' names: <c>detection</c> or <c>instance_detection</c>.</param>
/// <param name="thresholds">IoU thresholds, ascending; 0.5 is among them and gives the main metric.</param>
/// <param name="count">Counts a row; null where the rules leave it out.</param>
public sealed class BoxScoring(string task, double[] thresholds, Func<EvaluationRow, BoxCounts?> count) : TaskScoring
{
    private const double MainThreshold = 0.5;

    // The main threshold first: its F1 is the task's main metric.
    private readonly double[] _order = [MainThreshold, .. thresholds.Where(threshold => threshold != MainThreshold)];

    private static readonly string[] Kinds = ["f1", "precision", "recall"];

    /// <inheritdoc/>
    public override string Task => task;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Metrics =>
    [
        .. _order.SelectMany(t => (string[])[.. Kinds.Select(kind => $"{task}_{kind}_iou_{Show(t)}"), .. Counts(t)]),
        .. thresholds.Length > 1 ? Kinds.Select(kind => $"{task}_average_{kind}") : [],
    ];

    /// <inheritdoc/>
    public override IReadOnlyList<(string Name, string Other)> Aliases =>
    [
        .. task == "detection" ? [($"{task}_f1_iou_0.5", "f1_iou_0.5")] : Array.Empty<(string, string)>(),
        .. _order.SelectMany(t => Kinds.Select(kind => ($"{task}_{kind}_iou_{Show(t)}", $"{task}_iou_{Show(t)}_{(kind == "f1" ? "f1_score" : kind)}"))),
    ];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Headline =>
    [
        .. Kinds.Select(kind => $"{task}_{kind}_iou_0.5"),
        .. thresholds.Length > 1 ? (string[])[$"{task}_f1_iou_0.3", $"{task}_average_f1"] : [],
    ];

    /// <inheritdoc/>
    public override ScoredRow Read(EvaluationRow row)
    {
        ArgumentNullException.ThrowIfNull(row);
        if (count(row) is not { } counts) return new ScoredRow(row, row.Reference, row.Prediction ?? "", false, null, new double[thresholds.Length + 2]);
        int main = counts.Matched[Array.IndexOf(thresholds, MainThreshold)];
        double f1 = counts.ReferenceCount + counts.PredictionCount == 0 ? 1 : 2.0 * main / (counts.ReferenceCount + counts.PredictionCount);
        double[] terms = [counts.ReferenceCount, counts.PredictionCount, .. counts.Matched.Select(matched => (double)matched)];
        return new ScoredRow(
            row, Boxes.Format(counts.References), counts.Predictions is { } predictions ? Boxes.Format(predictions) : "", counts.Predictions is not null, f1, terms);
    }

    /// <inheritdoc/>
    public override TaskSample Sample(IReadOnlyList<ScoredRow> rows) => new SummedSample(rows, thresholds.Length + 2, Measure);

    private void Measure(ReadOnlySpan<double> sums, double rows, Span<double> values)
    {
        int at = 0;
        double f1 = 0, precision = 0, recall = 0;
        foreach (double threshold in _order)
        {
            double hits = sums[2 + Array.IndexOf(thresholds, threshold)];
            (double p, double r, double f) = SummedSample.Rates(hits, sums[1] - hits, sums[0] - hits);
            ReadOnlySpan<double> figures = [f, p, r, hits, sums[1] - hits, sums[0] - hits];
            figures.CopyTo(values[at..]);
            at += figures.Length;
            (f1, precision, recall) = (f1 + f, precision + p, recall + r);
        }

        if (thresholds.Length <= 1) return;
        (values[at], values[at + 1], values[at + 2]) = (f1 / thresholds.Length, precision / thresholds.Length, recall / thresholds.Length);
    }

    private string[] Counts(double t) => [$"{task}_iou_{Show(t)}_tp", $"{task}_iou_{Show(t)}_fp", $"{task}_iou_{Show(t)}_fn"];

    private static string Show(double threshold) => threshold.ToString(CultureInfo.InvariantCulture);
}
