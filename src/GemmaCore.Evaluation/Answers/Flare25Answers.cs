using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace GemmaCore.Evaluation;

/// <summary>
/// How the 2025 baseline reads answers: flare.md §7.2, and where that gives only the kind of a pattern, what the published scorer (evaluate_medgemma.py of
/// medfm-flare/FLARE25-MedGemma) does. Known quirks are kept: an English "A " is option A, letters after E are only found as last words.
/// </summary>
public static partial class Flare25Answers
{
    private const int SmallestFreeStandingCount = 10;

    // What begins to explain how one would count holds numbers that are no counts. Compared in lower case.
    private static readonly string[] Explanations =
    [
        "to accurately count", "to provide an accurate count", "to count the cells", "we need to", "i would need to", "to determine", "to estimate", "follow these steps", "carefully examine",
        "inspect each",
    ];

    private static readonly char[] AroundClass = [' ', '\t', '\r', '\n', '\f', '\v', '.', ',', ':', '\'', '"'];
    private static readonly char[] AroundLabel = ['\'', '"', '.', ',', ';'];
    private static readonly char[] Quotes = ['\'', '"'];
    private static readonly string[] TurnMarks = ["system\n", "user\n"];

    /// <summary>What is left of an output after the last turn mark and the last <c>Answer:</c>.</summary>
    public static string Clean(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string rest = After(text, "assistant\n", StringComparison.Ordinal) ?? After(text, "assistant:", StringComparison.OrdinalIgnoreCase) ?? text;
        foreach (string mark in TurnMarks)
            if (rest.StartsWith(mark, StringComparison.Ordinal)) rest = rest[mark.Length..].Trim();
        return After(rest, "Answer:", StringComparison.Ordinal) ?? rest;
    }

    /// <summary>A class as it is compared, white space squeezed: one letter in upper case, any other text in lower case.</summary>
    public static string Class(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string plain = string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return plain is [var letter] && char.IsLetter(letter) ? plain.ToUpperInvariant() : plain.ToLowerInvariant();
    }

    /// <summary>The class in a prediction: the first letter A to E that stands by itself, else the last word.</summary>
    public static string PredictedClass(string text)
    {
        string whole = Clean(text);
        if (OptionLetter().Match(whole.ToUpperInvariant()) is { Success: true } match) return match.Groups[1].Value;
        string last = whole.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).LastOrDefault() ?? "";
        return Class(last.Trim(AroundClass));
    }

    /// <summary>The labels of an answer; upper and lower case differ.</summary>
    public static IReadOnlySet<string> Labels(string text)
    {
        string whole = Clean(text);
        Match brackets = FirstBrackets().Match(whole);
        bool listed = brackets.Success;
        if (listed) whole = brackets.Groups[1].Value;
        IEnumerable<string> labels = whole.Split(whole.Contains(';', StringComparison.Ordinal) ? ';' : ',').Select(label => label.Trim().Trim(listed ? Quotes : AroundLabel).Trim());
        HashSet<string> named = [.. labels.Where(label => label.Length > 0)];
        // An answer of punctuation alone is a label.
        return named.Count == 0 && !listed && whole.Trim().Length > 0 ? [whole.Trim()] : named;
    }

    /// <summary>The boxes of a detection answer, in whole pixels; null where there are none to read.</summary>
    public static IReadOnlyList<Box>? Boxes(string text)
    {
        string whole = Clean(text);
        if (whole.StartsWith('{') && whole.EndsWith('}') && AnswerText.Json(whole) is { ValueKind: JsonValueKind.Object } json)
        {
            IEnumerable<JsonElement> lists = AnswerText.Members(json).Where(entry => entry.Value.ValueKind == JsonValueKind.Array)
                .SelectMany(entry => entry.Value.EnumerateArray()).Where(box => box.ValueKind == JsonValueKind.Array && box.GetArrayLength() == 4);
            double[]?[] boxes = [.. lists.Select(Pixels)];
            return boxes.Contains(null) ? null : [.. boxes.Select(box => Box(box!))];
        }

        // One box in double brackets goes before everything else; of several in one list only the second pattern sees any.
        foreach (Regex pattern in (Regex[])[OneBoxInDoubleBrackets(), FourIntegers()])
        {
            MatchCollection matches = pattern.Matches(whole);
            if (matches.Count > 0) return [.. matches.Select(match => Box([.. Enumerable.Range(1, 4).Select(i => double.Parse(match.Groups[i].Value, CultureInfo.InvariantCulture))]))];
        }

        return null;
    }

    /// <summary>The boxes of an instance-detection answer, in whole pixels; null unless the text is a JSON object from its first to its last character.</summary>
    public static IReadOnlyList<Box>? KeyedBoxes(string text)
    {
        string whole = Clean(text);
        if (!whole.StartsWith('{') || !whole.EndsWith('}') || AnswerText.Json(whole) is not { ValueKind: JsonValueKind.Object } json) return null;
        var boxes = new List<Box>();
        foreach (JsonProperty entry in AnswerText.Members(json))
        {
            if (entry.Value.ValueKind != JsonValueKind.Array || entry.Value.GetArrayLength() == 0) continue;
            bool several = entry.Value[0].ValueKind == JsonValueKind.Array && entry.Value[0].GetArrayLength() == 4;
            if (!several && Pixels(entry.Value) is null) continue;
            foreach (JsonElement box in several ? entry.Value.EnumerateArray().ToArray() : [entry.Value])
            {
                // Among other boxes one of another size counts and overlaps nothing; what holds no numbers voids the answer.
                if (!AllNumbers(box)) return null;
                boxes.Add((Pixels(box) is { } corners ? Box(corners) : Evaluation.Box.None) with { Label = entry.Name });
            }
        }

        return boxes;
    }

    /// <summary>The count in a prediction; null where the rules see none.</summary>
    public static double? Count(string text)
    {
        string whole = Clean(text), lower = whole.ToLowerInvariant();
        if (Explanations.Any(phrase => lower.Contains(phrase, StringComparison.Ordinal))) return null;
        // The first pattern that finds anything decides, and its largest number is taken.
        foreach (Regex pattern in (Regex[])[CountIs(), TotalOf(), CellsSeen(), Approximately(), Estimated()])
        {
            double[] stated = [.. pattern.Matches(lower).Select(match => double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture))];
            if (stated.Length > 0) return stated.Max();
        }

        double[] numbers = [.. FreeInteger().Matches(whole).Select(match => double.Parse(match.Value, CultureInfo.InvariantCulture))];
        double[] large = [.. numbers.Where(number => number > SmallestFreeStandingCount || numbers.Length == 1)];
        if (large.Length > 0) return large.Max();
        return PythonFloat.TryParse(whole, out double all) && double.IsFinite(all) ? Math.Truncate(all) : null;
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

    /// <summary>The count of a reference: its whole part.</summary>
    public static double? ReferenceCount(string text) => ReferenceNumber(text) is { } value ? Math.Truncate(value) : null;

    private static bool AllNumbers(JsonElement box) =>
        box.ValueKind == JsonValueKind.Array && box.EnumerateArray().All(number => number.ValueKind == JsonValueKind.Number && double.IsFinite(number.GetDouble()));

    private static double[]? Pixels(JsonElement box) => AllNumbers(box) && box.GetArrayLength() == 4 ? [.. box.EnumerateArray().Select(number => Math.Truncate(number.GetDouble()))] : null;

    private static Box Box(double[] corners) => new(corners[0], corners[1], corners[2], corners[3], null);

    private static string? After(string text, string mark, StringComparison comparison) => text.LastIndexOf(mark, comparison) is >= 0 and var at ? text[(at + mark.Length)..].Trim() : null;

    [GeneratedRegex(@"\b([A-E])(?:[.)\s]|$)")]
    private static partial Regex OptionLetter();

    [GeneratedRegex(@"\[([^\]]+)\]")]
    private static partial Regex FirstBrackets();

    [GeneratedRegex(@"\[\s*\[\s*([0-9]+)\s*,\s*([0-9]+)\s*,\s*([0-9]+)\s*,\s*([0-9]+)\s*\]\s*\]")]
    private static partial Regex OneBoxInDoubleBrackets();

    [GeneratedRegex(@"([0-9]+)\s*,\s*([0-9]+)\s*,\s*([0-9]+)\s*,\s*([0-9]+)")]
    private static partial Regex FourIntegers();

    [GeneratedRegex(@"count.*?(?:is|are|equals?|totals?)\s*:?\s*([0-9]+)")]
    private static partial Regex CountIs();

    [GeneratedRegex(@"(?:total|number|count)\s*(?:is|are|of|equals?)?\s*:?\s*([0-9]+)")]
    private static partial Regex TotalOf();

    [GeneratedRegex(@"([0-9]+)\s*cells?\s*(?:visible|present|identified|counted)")]
    private static partial Regex CellsSeen();

    [GeneratedRegex(@"approximately\s*([0-9]+)")]
    private static partial Regex Approximately();

    [GeneratedRegex(@"estimated?\s*([0-9]+)")]
    private static partial Regex Estimated();

    // Not the numbers of a list of steps; "12. " still gives its 1, as in the scorer.
    [GeneratedRegex(@"(?<!step\s)(?<![0-9]\.\s)(?<!procedure\s)[0-9]+(?!\.\s)", RegexOptions.IgnoreCase)]
    private static partial Regex FreeInteger();

    [GeneratedRegex(@"(-?[0-9]+\.?[0-9]*)\s*%")]
    private static partial Regex Percentage();

    [GeneratedRegex(@"(-?[0-9]+\.?[0-9]*)")]
    private static partial Regex Number();
}
