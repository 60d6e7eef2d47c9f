using System.Globalization;

namespace GemmaCore.Evaluation;

/// <summary>An evaluation as one page: overall figures, by data set and modality, confusion matrices, the rows that went worst.</summary>
public static class EvaluationPage
{
    private const int WorstRows = 6, LongestText = 300;

    /// <summary>The page.</summary>
    /// <param name="result">The evaluation.</param>
    /// <param name="predictions">Name of what was scored.</param>
    /// <param name="compared">Name of what it is compared with; null for nothing.</param>
    public static string Of(EvaluationResult result, string predictions, string? compared)
    {
        ArgumentNullException.ThrowIfNull(result);
        var page = new HtmlPage("FLARE evaluation");
        page.Raw($"<p class=\"soft\">Predictions <code>{HtmlPage.Escape(predictions)}</code>{(compared is null ? "" : $", compared with <code>{HtmlPage.Escape(compared)}</code>")}, rules of <b>{result.Rules.Name}</b></p>");
        page.Facts(
            (Count(result.Rows.Count), "rows scored"), (Count(result.Rows.Count(row => row.Parsed)), "predictions read"), (Count(result.Of(GroupKind.Dataset).Select(group => group.Name).Distinct().Count()), "data sets"),
            (Count(result.Of(GroupKind.Split).Select(group => group.Name).Distinct().Count()), "splits"));
        foreach (string note in result.Notes) page.Paragraph(note, "note");
        foreach ((string task, int rows) in result.Unscored) page.Paragraph($"{rows} rows of {task} are not scored: the rules leave them to a judge model (--judge green or crimson; --text for their words)", "note");
        Overall(page, result, compared is not null);
        Bars(page, result, GroupKind.Dataset, "By data set");
        Bars(page, result, GroupKind.Modality, "By modality");
        string[] matrices = [.. ConfusionMatrix.Of(result).Select(SvgPlots.Matrix)];
        if (matrices.Length > 0)
        {
            page.Section("Confusion matrices").Paragraph("References down, predictions across; a cell's shade is its share of the reference's row.", "soft");
            page.Raw("<div class=\"plots\">" + string.Join('\n', matrices) + "</div>");
        }

        Curves(page, [.. LabelCurves.Of(result)], result.LabelThreshold);
        Worst(page, result);
        return page.ToString();
    }

    /// <summary>A figure for people: three decimals for rates, fewer for large errors.</summary>
    public static string Show(double value) => value switch
    {
        double.NaN => "–",
        double.PositiveInfinity => "∞",
        double.NegativeInfinity => "−∞",
        _ when Math.Abs(value) >= 1e6 => value.ToString("0.###E+0", CultureInfo.InvariantCulture),
        _ when Math.Abs(value) >= 1000 => value.ToString("F0", CultureInfo.InvariantCulture),
        _ => value.ToString("F3", CultureInfo.InvariantCulture),
    };

    /// <summary>An interval for people; empty where there is none.</summary>
    public static string Show(Interval? interval) => interval is { } between ? $"{Show(between.Low)} – {Show(between.High)}" : "";

    private static void Overall(HtmlPage page, EvaluationResult result, bool compared)
    {
        page.Section($"Overall: mean over {(result.Rules.MeanOverDatasets ? "data sets" : "splits")}");
        string[] columns = ["metric", "#value", "#95 % interval", "#read / rows", .. compared ? (string[])["#compared", "#difference", "#95 % interval"] : []];
        var rows = new List<string[]>();
        foreach (TaskScoring scoring in result.Groups.Select(group => group.Scoring).Distinct())
        {
            GroupScore[] groups = [.. result.Of(GroupKind.Split).Where(group => group.Scoring == scoring)];
            string read = $"{Count(groups.Sum(group => group.Parsed))} / {Count(groups.Sum(group => group.Rows.Count))}";
            foreach (MetricValue metric in scoring.Headline.Select(name => result.Mean.First(metric => metric.Name == name)))
            {
                string[] cells = [metric.Name, Show(metric.Value), Show(metric.Interval), read];
                rows.Add(compared ? [.. cells, Show(metric.Other ?? double.NaN), Show(metric.Value - (metric.Other ?? double.NaN)), Show(metric.Difference)] : cells);
            }
        }

        page.Table(columns, rows);
    }

    private static void Bars(HtmlPage page, EvaluationResult result, GroupKind kind, string heading)
    {
        page.Section(heading).Paragraph("Main metric of each task with its 95 % interval; rows read of all rows behind the name.", "soft");
        foreach (IGrouping<TaskScoring, GroupScore> task in result.Of(kind).GroupBy(group => group.Scoring))
        {
            string metric = task.Key.Metrics[0];
            // Errors have no upper end of their own: the longest finite one gives it.
            double end = task.Key.LowerIsBetter
                ? task.SelectMany(group => (double[])[group.Metrics[0].Value, group.Metrics[0].Interval?.High ?? 0]).Where(double.IsFinite).DefaultIfEmpty(1).Max()
                : 1;
            page.Raw($"<h3>{HtmlPage.Escape(metric)}{(task.Key.LowerIsBetter ? " <span class=\"soft\">(smaller is better)</span>" : "")}</h3>");
            foreach (GroupScore group in task)
            {
                MetricValue main = group.Metrics[0];
                string figures = main.Interval is null ? Show(main.Value) : $"{Show(main.Value)} ({Show(main.Interval)})";
                page.Raw(SvgPlots.Bar(group.Name, main.Value, main.Interval, end, figures, $"{Count(group.Parsed)}/{Count(group.Rows.Count)}"));
            }
        }
    }

    private static void Curves(HtmlPage page, LabelCurves[] sets, double threshold)
    {
        if (sets.Length == 0) return;
        page.Section("Probabilities of labels");
        page.Paragraph($"Area under the ROC curve by label, with DeLong's 95 % interval, where predictions carry scores; sensitivity and specificity at probability {Show(threshold)}.", "soft");
        page.Table(
            ["data set", "label", "#AUC", "#95 % interval", "#positives", "#negatives", "#sensitivity", "#specificity"],
            sets.SelectMany(set => set.Labels.Select(label => (string[])
            [
                set.Dataset, label.Label, Show(label.Area), Show(label.Interval), Count(label.Positives), Count(label.Negatives), Show(label.Sensitivity), Show(label.Specificity),
            ])));
        foreach (LabelCurves set in sets.Where(set => set.Skipped.Count > 0)) page.Paragraph($"{set.Dataset}: no area for labels with one class only: {string.Join(", ", set.Skipped)}", "note");
        string[] diagrams = [.. sets.Where(set => set.Calibration is not null).Select(set => SvgPlots.Reliability(set.Dataset, set.Calibration!))];
        if (diagrams.Length == 0) return;
        page.Raw("<h3>Reliability</h3>").Paragraph("Share of right answers by confidence of the most likely option; the line is perfect calibration, circles grow with the rows in a bin.", "soft");
        page.Raw("<div class=\"plots\">" + string.Join('\n', diagrams) + "</div>");
    }

    private static void Worst(HtmlPage page, EvaluationResult result)
    {
        page.Section("Rows that went worst").Paragraph($"At most {WorstRows} of each task, as they were read; all rows are in rows.csv.", "soft");
        foreach (IGrouping<TaskScoring, ScoredRow> task in result.Rows.Where(row => row.Score is not null).GroupBy(row => result.Rules.For(row.Row.Task, row.Row.IsInstanceDetection)!))
        {
            ScoredRow[] rows = [.. (task.Key.LowerIsBetter ? task.OrderByDescending(row => row.Score) : task.OrderBy(row => row.Score)).Take(WorstRows)];
            page.Raw($"<h3>{HtmlPage.Escape(task.Key.Task)}</h3>");
            page.Table(["row", "reference", "prediction", "#score"], rows.Select(row => (string[])[row.Row.Uid, Shorten(row.Reference), row.Parsed ? Shorten(row.Prediction) : $"not read: {Shorten(row.Row.Prediction ?? "")}", Show(row.Score!.Value)]));
        }
    }

    private static string Shorten(string text) => text.Length <= LongestText ? text : text[..LongestText] + "…";

    private static string Count(int number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
