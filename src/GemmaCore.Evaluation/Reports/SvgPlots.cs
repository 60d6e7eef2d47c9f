using System.Globalization;
using System.Text;
using GemmaCore.Evaluation.Probabilities;

namespace GemmaCore.Evaluation;

/// <summary>Plots of a page as inline SVG, in the page's own colours.</summary>
public static class SvgPlots
{
    private const int TrackWidth = 400, Cell = 34, Margin = 96, Head = 40;

    /// <summary>A value with its interval on a line from 0 to <paramref name="end"/>, name and figures beside it.</summary>
    /// <param name="name">What it is.</param>
    /// <param name="value">The value.</param>
    /// <param name="interval">Its interval; null for none.</param>
    /// <param name="end">Right end of the line.</param>
    /// <param name="figures">The value in words.</param>
    /// <param name="note">A small remark behind the name.</param>
    public static string Bar(string name, double value, Interval? interval, double end, string figures, string note = "")
    {
        string X(double v) => (end > 0 && double.IsFinite(v) ? Math.Clamp(v / end, 0, 1) * TrackWidth : TrackWidth).ToString("F1", CultureInfo.InvariantCulture);
        var svg = new StringBuilder($"<svg viewBox=\"0 0 {TrackWidth} 18\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{HtmlPage.Escape(name)}: {HtmlPage.Escape(figures)}\">");
        svg.Append($"<rect x=\"0\" y=\"5\" width=\"{TrackWidth}\" height=\"8\" fill=\"var(--line)\" rx=\"2\"/><rect x=\"0\" y=\"5\" width=\"{X(value)}\" height=\"8\" fill=\"var(--mark)\" rx=\"2\"/>");
        if (interval is { } between)
        {
            foreach (double limit in (double[])[between.Low, between.High]) svg.Append($"<line x1=\"{X(limit)}\" x2=\"{X(limit)}\" y1=\"1\" y2=\"17\" stroke=\"var(--second)\" stroke-width=\"2\" vector-effect=\"non-scaling-stroke\"/>");
            svg.Append($"<line x1=\"{X(between.Low)}\" x2=\"{X(between.High)}\" y1=\"9\" y2=\"9\" stroke=\"var(--second)\" stroke-width=\"2\" vector-effect=\"non-scaling-stroke\"/>");
        }

        string remark = note.Length > 0 ? $" <small>{HtmlPage.Escape(note)}</small>" : "";
        return $"<div class=\"bar\"><span class=\"name\">{HtmlPage.Escape(name)}{remark}</span>{svg}</svg><span class=\"value\">{HtmlPage.Escape(figures)}</span></div>";
    }

    /// <summary>A confusion matrix: references down, predictions across, shade by share of the reference's row.</summary>
    public static string Matrix(ConfusionMatrix matrix)
    {
        ArgumentNullException.ThrowIfNull(matrix);
        int columns = matrix.Labels.Count + 1, width = Margin + columns * Cell + 8, height = Head + matrix.Labels.Count * Cell + 8;
        var svg = new StringBuilder($"<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"confusion matrix of {HtmlPage.Escape(matrix.Dataset)}\">");
        for (int c = 0; c < columns; c++)
        {
            string label = c < matrix.Labels.Count ? matrix.Labels[c] : "other";
            svg.Append($"<text x=\"{Margin + c * Cell + Cell / 2}\" y=\"{Head - 8}\" text-anchor=\"middle\"><title>{HtmlPage.Escape(label)}</title>{HtmlPage.Escape(Short(label, 5))}</text>");
        }

        for (int r = 0; r < matrix.Labels.Count; r++)
        {
            int y = Head + r * Cell;
            double total = Math.Max(1, matrix.Counts[r].Sum());
            svg.Append($"<text x=\"{Margin - 8}\" y=\"{y + 22}\" text-anchor=\"end\"><title>{HtmlPage.Escape(matrix.Labels[r])}</title>{HtmlPage.Escape(Short(matrix.Labels[r], 13))}</text>");
            for (int c = 0; c < columns; c++)
            {
                string shade = (matrix.Counts[r][c] / total * 0.85).ToString("F3", CultureInfo.InvariantCulture);
                string colour = r == c ? "var(--mark)" : "var(--second)";
                svg.Append($"<rect x=\"{Margin + c * Cell}\" y=\"{y}\" width=\"{Cell - 2}\" height=\"{Cell - 2}\" fill=\"{colour}\" fill-opacity=\"{shade}\" stroke=\"var(--line)\"/>");
                if (matrix.Counts[r][c] > 0) svg.Append($"<text x=\"{Margin + c * Cell + Cell / 2 - 1}\" y=\"{y + 21}\" text-anchor=\"middle\">{matrix.Counts[r][c]}</text>");
            }
        }

        return $"<figure><figcaption>{HtmlPage.Escape(matrix.Dataset)}</figcaption>{svg}</svg></figure>";
    }

    /// <summary>A reliability diagram: confidence across, share of right answers up.</summary>
    public static string Reliability(string dataset, CalibrationSummary calibration)
    {
        ArgumentNullException.ThrowIfNull(calibration);
        const int side = 220, left = 34, top = 16, foot = 30;
        string N(double value) => value.ToString("F1", CultureInfo.InvariantCulture);
        double X(double share) => left + share * side;
        double Y(double share) => top + (1 - share) * side;
        double rows = calibration.Bins.Sum(bin => bin.Count);
        var svg = new StringBuilder($"<svg width=\"{left + side + 20}\" height=\"{side + top + foot}\" viewBox=\"0 0 {left + side + 20} {side + top + foot}\" role=\"img\" aria-label=\"reliability of {HtmlPage.Escape(dataset)}\">");
        svg.Append($"<rect x=\"{left}\" y=\"{top}\" width=\"{side}\" height=\"{side}\" fill=\"none\" stroke=\"var(--line)\"/><line x1=\"{N(X(0))}\" y1=\"{N(Y(0))}\" x2=\"{N(X(1))}\" y2=\"{N(Y(1))}\" stroke=\"var(--soft)\" stroke-dasharray=\"4 4\"/>");
        foreach (double tick in (double[])[0, 0.5, 1])
        {
            svg.Append($"<text x=\"{N(X(tick))}\" y=\"{side + top + 18}\" text-anchor=\"middle\">{tick.ToString(CultureInfo.InvariantCulture)}</text>");
            svg.Append($"<text x=\"{left - 6}\" y=\"{N(Y(tick) + 4)}\" text-anchor=\"end\">{tick.ToString(CultureInfo.InvariantCulture)}</text>");
        }

        foreach (ReliabilityBin bin in calibration.Bins.Where(bin => bin.Count > 0))
        {
            string radius = N(3 + 11 * Math.Sqrt(bin.Count / rows));
            svg.Append($"<circle cx=\"{N(X(bin.Confidence))}\" cy=\"{N(Y(bin.Accuracy))}\" r=\"{radius}\" fill=\"var(--mark)\" fill-opacity=\"0.75\"><title>{bin.Count} rows</title></circle>");
        }

        string error = calibration.ExpectedError.ToString("F3", CultureInfo.InvariantCulture), temperature = calibration.Temperature.ToString("F2", CultureInfo.InvariantCulture);
        string then = calibration.ErrorAtTemperature.ToString("F3", CultureInfo.InvariantCulture);
        return $"<figure><figcaption>{HtmlPage.Escape(dataset)}</figcaption>{svg}</svg><div class=\"soft\">calibration error {error}; at temperature {temperature} it is {then}</div></figure>";
    }

    private static string Short(string text, int most) => text.Length <= most ? text : text[..(most - 1)] + "…";
}
