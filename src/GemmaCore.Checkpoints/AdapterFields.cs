using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace GemmaCore.Checkpoints;

/// <summary>The fields of an adapter_config.json, read with complaints that name file and key.</summary>
internal sealed class AdapterFields(JsonObject fields, string file)
{
    /// <summary>File and key, for the messages of others.</summary>
    public string Where(string key) => $"{file}: {key}";

    /// <summary>A complaint about the file.</summary>
    public CheckpointException Refuse(string reason) => new($"{file}: {reason}");

    /// <summary>A string, or the fallback for null.</summary>
    public string Text(string key, string fallback) => fields[key] switch
    {
        null => fallback,
        JsonValue value when value.TryGetValue(out string? text) => text,
        JsonNode other => throw Wrong(key, "a string", other),
    };

    /// <summary>A number between two bounds, or the fallback for null.</summary>
    public double Number(string key, double fallback, double min, double max) => fields[key] is { } node ? Number(key, node, min, max) : fallback;

    /// <summary>A whole number between two bounds, or the fallback for null.</summary>
    public int Whole(string key, int fallback, int min, int max) => fields[key] is { } node ? Whole(key, node, min, max) : fallback;

    /// <summary>A truth value, or false for null.</summary>
    public bool Flag(string key) => fields[key] switch
    {
        null => false,
        JsonValue value when value.TryGetValue(out bool flag) => flag,
        JsonNode other => throw Wrong(key, "true or false", other),
    };

    /// <summary>Whether Python would take the value for true: anything but null, false, 0 and what is empty.</summary>
    public bool IsOn(string key) => fields[key] switch
    {
        null => false,
        JsonArray list => list.Count > 0,
        JsonObject map => map.Count > 0,
        JsonValue value when value.TryGetValue(out bool flag) => flag,
        JsonValue value when value.TryGetValue(out double number) => number != 0,
        JsonValue value when value.TryGetValue(out string? text) => text.Length > 0,
        _ => true,
    };

    /// <summary>A list of names; null when the field is null or a single string, which then stands in <paramref name="single"/>.</summary>
    public List<string>? Names(string key, out string? single)
    {
        single = null;
        switch (fields[key])
        {
            case null: return null;
            case JsonValue value when value.TryGetValue(out single): return null;
            case JsonArray list:
                return [.. list.Select(item => item is JsonValue value && value.TryGetValue(out string? name) ? name : throw Wrong(key, "a list of strings", list))];
            case JsonNode other: throw Wrong(key, "a string or a list of strings", other);
        }
    }

    /// <summary>A whole number or a list of them, from 0; null when the field is null or an empty list.</summary>
    public int[]? WholeNumbers(string key)
    {
        int[]? numbers = fields[key] switch
        {
            null => null,
            JsonArray list => [.. list.Select(item => Whole(key, item, 0, int.MaxValue))],
            JsonNode single => [Whole(key, single, 0, int.MaxValue)],
        };
        return numbers is { Length: > 0 } ? numbers : null;
    }

    /// <summary>The entries of an object whose values are numbers, in the order of the file.</summary>
    public IEnumerable<(string Key, double Value)> Pattern(string key, double min, double max, bool whole)
    {
        if (fields[key] is null) return [];
        JsonObject map = fields[key] as JsonObject ?? throw Wrong(key, "an object", fields[key]);
        return [.. map.Select(item => (item.Key, whole ? Whole($"{key}.{item.Key}", item.Value, (int)min, (int)max) : Number($"{key}.{item.Key}", item.Value, min, max)))];
    }

    private int Whole(string key, JsonNode? node, int min, int max)
    {
        double number = Number(key, node, min, max);
        return number == Math.Floor(number) ? (int)number : throw Wrong(key, "a whole number", node);
    }

    private double Number(string key, JsonNode? node, double min, double max) =>
        node is JsonValue value && value.GetValueKind() == JsonValueKind.Number && value.TryGetValue(out double number) && number >= min && number <= max
            ? number
            : throw Wrong(key, string.Create(CultureInfo.InvariantCulture, $"a number from {min} to {max}"), node);

    private CheckpointException Wrong(string key, string expected, JsonNode? found)
    {
        string text = found?.ToJsonString() ?? "null";
        return Refuse($"{key} must be {expected}, got {(text.Length > 60 ? text[..60] + "…" : text)}");
    }
}
