using System.Globalization;
using GemmaCore.Evaluation;
using Spectre.Console;

namespace GemmaCore.Cli;

/// <summary>An evaluation on the terminal: the overall figures, then the main metric of each data set.</summary>
internal static class EvaluationTable
{
    public static void Write(EvaluationResult result, string? folder)
    {
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumn("metric");
        foreach (string number in (string[])["value", "95 % interval", "read/rows", .. result.IsComparison ? (string[])["compared", "difference", "95 % interval"] : []])
            table.AddColumn(new TableColumn(number).RightAligned());
        foreach (TaskScoring scoring in result.Groups.Select(group => group.Scoring).Distinct())
        {
            GroupScore[] splits = [.. result.Of(GroupKind.Split).Where(group => group.Scoring == scoring)];
            foreach (MetricValue metric in scoring.Headline.Select(name => result.Mean.First(metric => metric.Name == name)))
                table.AddRow(Cells(metric.Name, metric, splits.Sum(group => group.Parsed), splits.Sum(group => group.Rows.Count), result.IsComparison));
        }

        TerminalTable.Write(table);
        var sets = new Table { Border = TableBorder.Simple };
        sets.AddColumns("data set", "metric");
        foreach (string number in (string[])["value", "95 % interval", "read/rows", .. result.IsComparison ? (string[])["compared", "difference", "95 % interval"] : []])
            sets.AddColumn(new TableColumn(number).RightAligned());
        foreach (GroupScore group in result.Of(GroupKind.Dataset))
        {
            MetricValue main = group.Metrics[0];
            sets.AddRow([Markup.Escape(group.Name), .. Cells(main.Name, main, group.Parsed, group.Rows.Count, result.IsComparison)]);
        }

        TerminalTable.Write(sets);
        foreach (LabelCurves curves in LabelCurves.Of(result))
        {
            string calibration = curves.Calibration is { } known ? $", calibration error {EvaluationPage.Show(known.ExpectedError)} (temperature {EvaluationPage.Show(known.Temperature)})" : "";
            string skipped = curves.Skipped.Count > 0 ? $"; no area for labels with one class: {string.Join(", ", curves.Skipped)}" : "";
            Console.WriteLine($"{curves.Dataset}: mean AUC {EvaluationPage.Show(curves.MacroArea)} over {curves.Labels.Count} labels of {curves.Rows} rows{calibration}{skipped}");
        }

        string over = result.Rules.MeanOverDatasets ? "data sets" : "splits";
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"rules {result.Rules.Name}, {result.Rows.Count} rows; overall figures are means over {over}"));
        foreach ((string task, int rows) in result.Unscored) Console.WriteLine($"not scored: {rows} rows of {task}, which the rules leave to a judge model (--judge, or --text for their words)");
        if (folder is not null) Console.WriteLine($"written: {folder}/scores.json, details.json, rows.csv, metrics.csv, report.html");
    }

    private static string[] Cells(string name, MetricValue metric, int parsed, int rows, bool compared)
    {
        string[] cells = [Markup.Escape(name), EvaluationPage.Show(metric.Value), EvaluationPage.Show(metric.Interval), string.Create(CultureInfo.InvariantCulture, $"{parsed}/{rows}")];
        if (!compared) return cells;
        double other = metric.Other ?? double.NaN;
        return [.. cells, EvaluationPage.Show(other), EvaluationPage.Show(metric.Value - other), EvaluationPage.Show(metric.Difference)];
    }
}
