using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace GemmaCore.Evaluation;

/// <summary>What the 2026 rules do to answers before they compare them (flare.md §6.1, §6.3, §6.5).</summary>
public static partial class AnswerText
{
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

    /// <summary>The number in a counting or regression answer; null when there is none.</summary>
    public static double? Number(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (Decode(text) is { } json)
        {
            if (json.ValueKind == JsonValueKind.Array && json.GetArrayLength() == 1) return Number(Text(json[0]));
            if (json.ValueKind == JsonValueKind.Object)
            {
                foreach (string key in (string[])["value", "count", "number", "prediction"])
                    if (json.TryGetProperty(key, out JsonElement value)) return Number(Text(value));
                return null;
            }
        }

        Match match = FirstNumber().Match(text.Replace(",", "", StringComparison.Ordinal));
        return match.Success ? double.Parse(match.Value, CultureInfo.InvariantCulture) : null;
    }

    // Whole numbers print without ".0", so that 20.0 and "20" are one label.
    internal static string Text(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Number when value.GetDouble() is var number && number == Math.Floor(number) && Math.Abs(number) < 1e15 =>
            number.ToString("F0", CultureInfo.InvariantCulture),
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
