using System.Globalization;
using System.Text.RegularExpressions;

namespace GemmaCore.Evaluation.Judges;

/// <summary>GREEN of one report, from what its judge wrote: matched findings / (matched findings + clinically significant errors) (arXiv 2405.03595; flare.md §8.2).</summary>
public static partial class GreenVerdict
{
    /// <summary>The score, from 0 to 1; null where a section is missing or has no number, which leaves the report out.</summary>
    /// <param name="answer">The judge's answer, sections under headings in brackets.</param>
    public static double? Score(string answer)
    {
        ArgumentNullException.ThrowIfNull(answer);
        if (Section(answer, "Clinically Significant Errors") is not { } errors || Section(answer, "Matched Findings") is not { } found) return null;
        double significant = 0;
        foreach (Match line in ErrorLine().Matches(errors)) significant += Number(line.Groups[1].Value);
        if (ErrorLine().Count(errors) == 0 && !SaysNone(errors)) return null;
        Match count = FirstNumber().Match(found);
        if (!count.Success) return SaysNone(found) ? 0 : null;
        double matched = Number(count.Value);
        return matched == 0 ? 0 : matched / (matched + significant);
    }

    // Up to the next heading; of headings that come twice the last counts, since a prompt may stand in front of the answer.
    private static string? Section(string answer, string name)
    {
        int start = answer.LastIndexOf($"[{name}]", StringComparison.OrdinalIgnoreCase);
        if (start < 0) return null;
        string rest = answer[(start + name.Length + 2)..].TrimStart(':', ' ', '\t', '\r', '\n');
        Match next = Heading().Match(rest);
        return (next.Success ? rest[..next.Index] : rest).Trim();
    }

    private static bool SaysNone(string section) => section.StartsWith("no", StringComparison.OrdinalIgnoreCase);

    private static double Number(string digits) => double.Parse(digits, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^[ \t]*\([a-f]\)[^:\n]*:[ \t]*([0-9]+)", RegexOptions.Multiline)]
    private static partial Regex ErrorLine();

    [GeneratedRegex(@"^[0-9]+(?=[.\s]|$)")]
    private static partial Regex FirstNumber();

    [GeneratedRegex(@"^[ \t]*\[[A-Z][A-Za-z ]+\]", RegexOptions.Multiline)]
    private static partial Regex Heading();
}
