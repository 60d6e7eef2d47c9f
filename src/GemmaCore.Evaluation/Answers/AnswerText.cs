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
        string start = text.TrimStart();
        if (start.Length == 0 || start[0] is not ('[' or '{')) return null;
        try
        {
            using JsonDocument document = JsonDocument.Parse(start);
            JsonElement root = document.RootElement.Clone();
            ReadAllText(root);
            return root;
        }
        catch (Exception error) when (error is JsonException or ArgumentException or InvalidOperationException)
        {
            // Not JSON after all, or with half a surrogate pair in it: the rules go on with the text as it is.
            return null;
        }
    }

    /// <summary>The labels of a multi-label answer.</summary>
    public static IReadOnlySet<string> Labels(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (Decode(text) is { } json)
        {
            if (json.ValueKind == JsonValueKind.Array) return ToSet(json.EnumerateArray().Select(Text));
            if (json.TryGetProperty("labels", out JsonElement labels))
                return labels.ValueKind == JsonValueKind.Array ? ToSet(labels.EnumerateArray().Select(Text)) : Split(Text(labels));
            return ToSet(json.EnumerateObject().Where(entry => entry.Value.ValueKind == JsonValueKind.True).Select(entry => entry.Name));
        }

        return Split(text);
    }

    /// <summary>Labels as a JSON list, in order; <see cref="Labels"/> reads the same set from it.</summary>
    public static string FormatLabels(IEnumerable<string> labels) =>
        "[" + string.Join(", ", labels.Order(StringComparer.Ordinal).Select(label => JsonSerializer.Serialize(label, Plain))) + "]";

    /// <summary>The number in a counting or regression answer; null when there is none.</summary>
    public static double? Number(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (Decode(text) is { } json)
        {
            if (json.ValueKind == JsonValueKind.Array && json.GetArrayLength() == 1) return NumberOf(json[0]);
            if (json.ValueKind == JsonValueKind.Object)
            {
                foreach (string key in (string[])["value", "count", "number", "prediction"])
                    if (json.TryGetProperty(key, out JsonElement value)) return NumberOf(value);
            }
        }

        Match match = FirstNumber().Match(text.Replace(",", "", StringComparison.Ordinal));
        return match.Success ? double.Parse(match.Value, CultureInfo.InvariantCulture) : null;
    }

    /// <summary>A finite number without exponent, as <see cref="Number"/> reads it; short where that loses nothing.</summary>
    public static string FormatNumber(double value)
    {
        string text = value.ToString("R", CultureInfo.InvariantCulture);
        // The rules know no exponents. 340 decimals hold every double.
        return text.Contains('E', StringComparison.Ordinal) ? value.ToString("F340", CultureInfo.InvariantCulture).TrimEnd('0').TrimEnd('.') : text;
    }

    // A JSON number is taken as it is, exponent included; anything else is read as text.
    private static double? NumberOf(JsonElement value) => value.ValueKind == JsonValueKind.Number ? value.GetDouble() : Number(Text(value));

    // Whole numbers print without ".0", so that 20.0 and "20" are one label.
    internal static string Text(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Number when value.GetDouble() is var number && number == Math.Floor(number) && Math.Abs(number) < 1e15 =>
            number.ToString("F0", CultureInfo.InvariantCulture),
        // As Python's str writes it.
        JsonValueKind.True => "True",
        JsonValueKind.False => "False",
        _ => value.GetRawText(),
    };

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
        if (NoLabels.Contains(Normalise(text))) return [];
        char[] separators = text.AsSpan().IndexOfAny(";\n|") >= 0 ? [';', '\n', '|'] : [','];
        return ToSet(text.Split(separators));
    }

    private static HashSet<string> ToSet(IEnumerable<string> labels) => [.. labels.Select(Normalise).Where(label => label.Length > 0)];

    [GeneratedRegex(@"\s+")]
    private static partial Regex WhiteSpace();

    [GeneratedRegex(@"[+-]?[0-9]+(\.[0-9]+)?")]
    private static partial Regex FirstNumber();
}
