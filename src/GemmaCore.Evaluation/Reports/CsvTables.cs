using System.Globalization;

namespace GemmaCore.Evaluation;

/// <summary>The evaluation as tables (RFC 4180, UTF-8, header line).</summary>
public static class CsvTables
{
    private static readonly System.Buffers.SearchValues<char> Special = System.Buffers.SearchValues.Create(",\"\r\n");

    /// <summary>One line a row: uid, where it belongs, reference and prediction as read, its own score.</summary>
    public static void WriteRows(EvaluationResult result, TextWriter writer)
    {
        ArgumentNullException.ThrowIfNull(result);
        ArgumentNullException.ThrowIfNull(writer);
        writer.Write("uid,split,dataset,modality,task,reference,prediction,parsed,score\n");
        foreach (ScoredRow row in result.Rows)
        {
            EvaluationRow source = row.Row;
            Write(
                writer, source.Uid, source.Split, source.Dataset, source.Modality, result.Rules.For(source.Task, source.IsInstanceDetection)!.Task, row.Reference, row.Prediction,
                row.Parsed ? "true" : "false", row.Score is { } score ? Number(score) : "");
        }
    }

    /// <summary>One line a metric and group, means first.</summary>
    public static void WriteMetrics(EvaluationResult result, TextWriter writer)
    {
        ArgumentNullException.ThrowIfNull(result);
        ArgumentNullException.ThrowIfNull(writer);
        writer.Write("group,name,task,metric,value,low,high,rows,parsed,compared,difference_low,difference_high\n");
        foreach (MetricValue metric in result.Mean) WriteMetric(writer, "mean", "", "", metric, "", "");
        foreach (GroupScore group in result.Groups)
        {
            foreach (MetricValue metric in group.Metrics)
            {
                WriteMetric(
                    writer, group.Kind.ToString().ToLowerInvariant(), group.Name, group.Scoring.Task, metric, group.Rows.Count.ToString(CultureInfo.InvariantCulture),
                    group.Parsed.ToString(CultureInfo.InvariantCulture));
            }
        }
    }

    private static void WriteMetric(TextWriter writer, string kind, string name, string task, MetricValue metric, string rows, string parsed) => Write(
        writer, kind, name, task, metric.Name, Number(metric.Value), Number(metric.Interval?.Low), Number(metric.Interval?.High), rows, parsed, Number(metric.Other),
        Number(metric.Difference?.Low), Number(metric.Difference?.High));

    private static string Number(double? value) => value is { } number && !double.IsNaN(number) ? number.ToString("R", CultureInfo.InvariantCulture) : "";

    private static void Write(TextWriter writer, params ReadOnlySpan<string> cells)
    {
        for (int i = 0; i < cells.Length; i++)
        {
            if (i > 0) writer.Write(',');
            if (cells[i].AsSpan().ContainsAny(Special)) writer.Write("\"" + cells[i].Replace("\"", "\"\"", StringComparison.Ordinal) + "\"");
            else writer.Write(cells[i]);
        }

        writer.Write('\n');
    }
}
