using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace GemmaCore.Evaluation;

/// <summary>
/// How the 2025 baseline reads answers (flare.md §7.2). Known quirks are kept: an English "A " is option A, letters after E are only found as last words.
/// The specification gives the phrases that mark an explanation by number and kind, not word by word; those here are ours.
/// </summary>
public static partial class Flare25Answers
{
    private const int SmallestFreeStandingCount = 10;

    private const string Punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

    // An answer that begins to explain itself holds numbers that are no counts.
    private static readonly string[] Explanations =
    [
        "i cannot", "i can't", "unable to", "not possible to", "it is difficult", "to count the", "let's count", "here's how", "step by step", "i need to",
    ];

    /// <summary>What is left of an output after the last turn mark and the last <c>Answer:</c>.</summary>
    public static string Clean(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string rest = After(text, "assistant\n") ?? After(text, "assistant:") ?? text;
        return (After(rest, "Answer:") ?? rest).Trim();
    }

    /// <summary>A class as it is compared: one letter in upper case, any other text in lower case.</summary>
    public static string Class(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string plain = text.Trim();
        return plain.Length == 1 ? plain.ToUpperInvariant() : plain.ToLowerInvariant();
    }

    /// <summary>The class in a prediction: the first letter A to E that stands by itself, else the last word.</summary>
    public static string PredictedClass(string text)
    {
        string upper = Clean(text).ToUpperInvariant();
        if (OptionLetter().Match(upper) is { Success: true } match) return match.Groups[1].Value;
        string last = upper.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).LastOrDefault() ?? "";
        return Class(last.Trim(Punctuation.ToCharArray()));
    }

    /// <summary>The labels of an answer; upper and lower case differ.</summary>
    public static IReadOnlySet<string> Labels(string text)
    {
        string whole = Clean(text);
        if (FirstBrackets().Match(whole) is { Success: true } match) whole = match.Groups[1].Value;
        char[] around = [.. Punctuation, ' ', '\t', '\r', '\n'];
        return whole.Split(whole.Contains(';', StringComparison.Ordinal) ? ';' : ',').Select(label => label.Trim(around)).Where(label => label.Length > 0)
            .ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>The boxes of a detection answer; null where there are none to read.</summary>
    public static IReadOnlyList<Box>? Boxes(string text)
    {
        string whole = Clean(text);
        if (AnswerText.Decode(whole) is { ValueKind: JsonValueKind.Object } json)
        {
            return [.. json.EnumerateObject().Where(entry => entry.Value.ValueKind == JsonValueKind.Array)
                .SelectMany(entry => OfficialRules.Four(entry.Value) is { } one ? [one] : entry.Value.EnumerateArray().Select(OfficialRules.Four).OfType<double[]>())
                .Select(Box)];
        }

        if (DoubleBrackets().Match(whole) is { Success: true } nested && AnswerText.Decode(nested.Value) is { ValueKind: JsonValueKind.Array } list
            && list.EnumerateArray().Select(OfficialRules.Four).OfType<double[]>().ToArray() is { Length: > 0 } boxes)
            return [.. boxes.Select(Box)];
        MatchCollection matches = FourIntegers().Matches(whole);
        return matches.Count == 0
            ? null
            : [.. matches.Select(match => Box([.. Enumerable.Range(1, 4).Select(i => double.Parse(match.Groups[i].Value, CultureInfo.InvariantCulture))]))];
    }

    /// <summary>The boxes of an instance-detection answer, in whole pixels; null unless the text is a JSON object from its first to its last character.</summary>
    public static IReadOnlyList<Box>? KeyedBoxes(string text)
    {
        string whole = Clean(text);
        if (!whole.StartsWith('{') || !whole.EndsWith('}') || OfficialRules.Keyed(whole) is not { } boxes) return null;
        return [.. boxes.Select(box => new Box(Math.Truncate(box.X1), Math.Truncate(box.Y1), Math.Truncate(box.X2), Math.Truncate(box.Y2), box.Label))];
    }

    /// <summary>The count in a prediction; null where the rules see none.</summary>
    public static double? Count(string text)
    {
        string whole = Clean(text);
        if (Explanations.Any(phrase => whole.Contains(phrase, StringComparison.OrdinalIgnoreCase))) return null;
        double[] stated = [.. StatedCounts().Matches(whole).Select(match => double.Parse(match.Groups["n"].Value, CultureInfo.InvariantCulture))];
        if (stated.Length > 0) return stated.Max();
        double[] numbers = [.. FreeInteger().Matches(whole).Select(match => double.Parse(match.Value, CultureInfo.InvariantCulture))];
        double[] large = [.. numbers.Where(number => number > SmallestFreeStandingCount)];
        return large.Length > 0 ? large.Max() : numbers.Length == 1 ? numbers[0] : null;
    }

    /// <summary>The quantity in a prediction: the first percentage, else the first number; null where there is none.</summary>
    public static double? Quantity(string text)
    {
        string whole = Clean(text);
        Match match = Percentage().Match(whole);
        if (!match.Success) match = Number().Match(whole);
        return match.Success ? double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) : null;
    }

    /// <summary>The number of a reference.</summary>
    public static double? ReferenceNumber(string text) => PythonFloat.TryParse(text, out double value) && double.IsFinite(value) ? value : null;

    private static Box Box(double[] corners) => new(corners[0], corners[1], corners[2], corners[3], null);

    private static string? After(string text, string mark) =>
        text.LastIndexOf(mark, StringComparison.Ordinal) is >= 0 and var at ? text[(at + mark.Length)..] : null;

    [GeneratedRegex(@"\b([A-E])(?:[.)\s]|$)")]
    private static partial Regex OptionLetter();

    [GeneratedRegex(@"\[([^\]]*)\]")]
    private static partial Regex FirstBrackets();

    [GeneratedRegex(@"\[\s*\[[^\[\]]*\](?:\s*,\s*\[[^\[\]]*\])*\s*\]")]
    private static partial Regex DoubleBrackets();

    [GeneratedRegex(@"([0-9]+)\s*,\s*([0-9]+)\s*,\s*([0-9]+)\s*,\s*([0-9]+)")]
    private static partial Regex FourIntegers();

    [GeneratedRegex(@"(?:count\s+(?:is|of)|total\s+(?:is|of)|approximately|about|around|roughly|there\s+are)\s*:?\s*(?<n>[0-9]+)|\b(?<n>[0-9]+)\s+cells?\b", RegexOptions.IgnoreCase)]
    private static partial Regex StatedCounts();

    [GeneratedRegex(@"\b[0-9]+\b")]
    private static partial Regex FreeInteger();

    [GeneratedRegex(@"([+-]?[0-9]+(?:\.[0-9]+)?)\s*%")]
    private static partial Regex Percentage();

    [GeneratedRegex(@"([+-]?[0-9]+(?:\.[0-9]+)?)")]
    private static partial Regex Number();
}
