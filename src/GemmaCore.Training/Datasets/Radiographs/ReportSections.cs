using System.Text.RegularExpressions;

namespace GemmaCore.Training.Datasets.Radiographs;

/// <summary>
/// The sections of a radiology report: what stands behind a heading such as <c>FINDINGS:</c> at the start of a line, up to the next one. White space is squeezed;
/// marks of removed names (<c>___</c>) stay.
/// </summary>
public static partial class ReportSections
{
    // Headings that mean a section a data set can be asked for; text under any other heading is left alone.
    private static readonly Dictionary<string, string> Known = new(StringComparer.OrdinalIgnoreCase)
    {
        ["FINDINGS"] = "findings",
        ["FINDING"] = "findings",
        ["FINDINGS AND IMPRESSION"] = "findings",
        ["IMPRESSION AND FINDINGS"] = "findings",
        ["FINDINGS/IMPRESSION"] = "findings",
        ["IMPRESSION"] = "impression",
        ["IMPRESSIONS"] = "impression",
        ["CONCLUSION"] = "impression",
        ["CONCLUSIONS"] = "impression",
        ["INDICATION"] = "indication",
        ["INDICATIONS"] = "indication",
        ["REASON FOR EXAM"] = "indication",
        ["REASON FOR EXAMINATION"] = "indication",
        ["CLINICAL INFORMATION"] = "indication",
        ["CLINICAL HISTORY"] = "history",
        ["HISTORY"] = "history",
        ["COMPARISON"] = "comparison",
        ["COMPARISONS"] = "comparison",
        ["TECHNIQUE"] = "technique",
    };

    /// <summary>The names of sections.</summary>
    public static IReadOnlyCollection<string> Names { get; } = [.. Known.Values.Distinct()];

    /// <summary>The sections of a report that have a text; one that comes twice is joined.</summary>
    public static Dictionary<string, string> Of(string report)
    {
        ArgumentNullException.ThrowIfNull(report);
        var sections = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        string? current = null;
        foreach (string line in report.Split('\n'))
        {
            string text = line;
            Match heading = Heading().Match(line);
            // Capitals are a heading whatever they say; in small letters only a known word is, since sentences hold colons too.
            if (heading.Success && (Known.ContainsKey(heading.Groups[1].Value) || heading.Groups[1].Value.All(c => !char.IsAsciiLetterLower(c))))
            {
                current = Known.GetValueOrDefault(heading.Groups[1].Value);
                text = heading.Groups[2].Value;
            }

            if (current is null || string.IsNullOrWhiteSpace(text)) continue;
            sections[current] = sections.TryGetValue(current, out string? before) ? $"{before} {Squeezed(text)}" : Squeezed(text);
        }

        return sections;
    }

    private static string Squeezed(string text) => string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    [GeneratedRegex(@"^\s*([A-Za-z][A-Za-z ,/&()\-]*?)\s*:(.*)$", RegexOptions.Singleline)]
    private static partial Regex Heading();
}
