using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace GemmaCore.Evaluation;

/// <summary>What the 2026 rules do to answers before they compare them (flare.md §6.1, §6.3, §6.5).</summary>
public static partial class AnswerText
{
    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly HashSet<string> NoLabels = ["", "none", "no finding", "no findings", "n/a", "na", "null", "[]"];

    /// <summary>Lower case, trimmed, every run of white space one blank.</summary>
    public static string Normalise(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return WhiteSpace().Replace(text.Trim().ToLowerInvariant(), " ");
    }

    /// <summary>The JSON value of a text that begins like an array or object and parses; null for any other text.</summary>
    public static JsonElement? Decode(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.TrimStart() is ['[' or '{', ..] ? Json(text) : null;
    }

    /// <summary>The JSON value of a text, of whatever kind; null where it is none, or has half a surrogate pair in it.</summary>
    internal static JsonElement? Json(string text)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(text.Trim());
            JsonElement root = document.RootElement.Clone();
            ReadAllText(root);
            return root;
        }
        catch (Exception error) when (error is JsonException or ArgumentException or InvalidOperationException)
        {
            // The rules go on with the text as it is.
            return null;
        }
    }

    /// <summary>The labels of a multi-label answer.</summary>
    public static IReadOnlySet<string> Labels(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Decode(text) is { } json ? LabelsOf(json) : Split(text);
    }

    /// <summary>Labels as a JSON list, in order; <see cref="Labels"/> reads the same set from it.</summary>
    public static string FormatLabels(IEnumerable<string> labels) =>
        "[" + string.Join(", ", labels.Order(StringComparer.Ordinal).Select(label => JsonSerializer.Serialize(label, Plain))) + "]";

    /// <summary>The number in a counting or regression answer; null when there is none.</summary>
    public static double? Number(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Decode(text) is { } json ? NumberOf(json) : FirstNumber(text);
    }

    /// <summary>A finite number without exponent, as <see cref="Number"/> reads it; short where that loses nothing.</summary>
    public static string FormatNumber(double value)
    {
        string text = value.ToString("R", CultureInfo.InvariantCulture);
        // The rules know no exponents. 340 decimals hold every double.
        return text.Contains('E', StringComparison.Ordinal) ? value.ToString("F340", CultureInfo.InvariantCulture).TrimEnd('0').TrimEnd('.') : text;
    }

    /// <summary>True for an empty answer and for the words that say that there is nothing (flare.md §6.3).</summary>
    internal static bool NamesNothing(string text) => NoLabels.Contains(Normalise(text));

    /// <summary>The members of an object as Python's dictionaries hold them: of several with one name the last, where the first stands.</summary>
    internal static IEnumerable<JsonProperty> Members(JsonElement json) => json.EnumerateObject().GroupBy(entry => entry.Name, StringComparer.Ordinal).Select(group => group.Last());

    /// <summary>A JSON value as text, as Python's <c>str</c> writes numbers and truth values; whole numbers without ".0", so that 20.0 and "20" are one label.</summary>
    internal static string Text(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        // Exponents are written out: the parsers of numbers know none.
        JsonValueKind.Number when value.GetRawText().AsSpan().ContainsAny(".eE") && value.GetDouble() is var number && double.IsFinite(number) => FormatNumber(number),
        JsonValueKind.True => "True",
        JsonValueKind.False => "False",
        _ => value.GetRawText(),
    };

    private static IReadOnlySet<string> LabelsOf(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Array => ToSet(json.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.Null ? "" : Text(item))),
        JsonValueKind.Object when json.TryGetProperty("labels", out JsonElement labels) => LabelsOf(labels),
        JsonValueKind.Object => ToSet(Members(json).Where(entry => IsTrue(entry.Value)).Select(entry => entry.Name)),
        JsonValueKind.String => Labels(json.GetString()!),
        JsonValueKind.Null => ToSet([]),
        _ => Split(Text(json)),
    };

    // What counts as true in Python.
    private static bool IsTrue(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False => false,
        JsonValueKind.Number => value.GetDouble() != 0,
        JsonValueKind.String => value.GetString()!.Length > 0,
        JsonValueKind.Array => value.GetArrayLength() > 0,
        JsonValueKind.Object => value.EnumerateObject().Any(),
        _ => true,
    };

    // A JSON number is taken as it is, exponent included. A list of several numbers is no number, whichever comes first.
    private static double? NumberOf(JsonElement json)
    {
        switch (json.ValueKind)
        {
            case JsonValueKind.Number: return json.GetDouble();
            case JsonValueKind.String: return Number(json.GetString()!);
            case JsonValueKind.Array: return json.GetArrayLength() == 1 ? NumberOf(json[0]) : null;
            case JsonValueKind.Object:
                foreach (string key in (string[])["value", "count", "number", "prediction"])
                    if (json.TryGetProperty(key, out JsonElement value)) return NumberOf(value);
                return FirstNumber(json.GetRawText());
            default: return null;
        }
    }

    private static double? FirstNumber(string text)
    {
        Match match = FirstDigits().Match(text.Replace(",", "", StringComparison.Ordinal));
        return match.Success ? double.Parse(match.Value, CultureInfo.InvariantCulture) : null;
    }

    // Strings are decoded on use; a bad one has to show before anything is scored.
    private static void ReadAllText(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.String) value.GetString();
        else if (value.ValueKind == JsonValueKind.Array) foreach (JsonElement item in value.EnumerateArray()) ReadAllText(item);
        else if (value.ValueKind == JsonValueKind.Object)
        {
            foreach (JsonProperty entry in value.EnumerateObject())
            {
                _ = entry.Name;
                ReadAllText(entry.Value);
            }
        }
    }

    private static HashSet<string> Split(string text)
    {
        if (NamesNothing(text)) return [];
        char[] separators = text.AsSpan().IndexOfAny(";\n|") >= 0 ? [';', '\n', '|'] : [','];
        return ToSet(text.Split(separators));
    }

    private static HashSet<string> ToSet(IEnumerable<string> labels) => [.. labels.Select(Normalise).Where(label => !NoLabels.Contains(label))];

    [GeneratedRegex(@"\s+")]
    private static partial Regex WhiteSpace();

    [GeneratedRegex(@"[+-]?[0-9]+(\.[0-9]+)?")]
    private static partial Regex FirstDigits();
}
