using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;

namespace GemmaCore.Models;

/// <summary>Reads typed values from a model's <c>config.json</c>; an error names the file, the key, what was expected and what came.</summary>
internal readonly struct ConfigJson(JsonElement element, string file, string prefix)
{
    /// <summary>Opens <c>config.json</c> of a model folder.</summary>
    public static ConfigJson Open(string folder)
    {
        string file = Path.Combine(folder, "config.json");
        if (!File.Exists(file)) throw new CheckpointException($"{file}: not found; a model folder needs its config.json");
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(file));
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new CheckpointException($"{file}: expected a JSON object");
            return new ConfigJson(document.RootElement.Clone(), file, "");
        }
        catch (JsonException error)
        {
            throw new CheckpointException($"{file}: not valid JSON: {error.Message}");
        }
    }

    /// <summary>A configuration that is in no file.</summary>
    public static ConfigJson Of(JsonObject config, string name)
    {
        using JsonDocument document = JsonDocument.Parse(config.ToJsonString());
        return new ConfigJson(document.RootElement.Clone(), name, "");
    }

    public bool Has(string key) => element.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null;

    public IEnumerable<string> Keys => element.EnumerateObject().Select(property => property.Name);

    /// <summary>The value as the file has it on one line, cut where it is long; null where there is none.</summary>
    public string? Raw(string key) => Has(key) ? OneLine(element.GetProperty(key)) : null;

    public ConfigJson? Object(string key)
    {
        if (!Has(key)) return null;
        JsonElement value = element.GetProperty(key);
        return value.ValueKind == JsonValueKind.Object ? new ConfigJson(value, file, prefix + key + ".") : throw Wrong(key, "an object", value);
    }

    /// <summary>An integer within limits that keep every later size computation in range.</summary>
    public int Int(string key, int fallback, int min, int max)
    {
        if (!Has(key)) return fallback;
        JsonElement value = element.GetProperty(key);
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out double number) || number != Math.Floor(number) || number < min || number > max)
            throw Wrong(key, $"an integer from {min} to {max}", value);
        return (int)number;
    }

    public int RequiredInt(string key, int min, int max) =>
        Has(key) ? Int(key, 0, min, max) : throw new CheckpointException($"{file}: {prefix}{key} is missing");

    public float Float(string key, double fallback, double min, double max)
    {
        if (!Has(key)) return (float)fallback;
        JsonElement value = element.GetProperty(key);
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out double number) || !(number >= min && number <= max))
            throw Wrong(key, $"a number from {min} to {max}", value);
        return (float)number;
    }

    public bool Bool(string key, bool fallback)
    {
        if (!Has(key)) return fallback;
        JsonElement value = element.GetProperty(key);
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Wrong(key, "true or false", value);
    }

    public string Text(string key, string fallback)
    {
        if (!Has(key)) return fallback;
        JsonElement value = element.GetProperty(key);
        return value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Wrong(key, "a string", value);
    }

    public IReadOnlyList<string>? TextList(string key)
    {
        if (!Has(key)) return null;
        JsonElement value = element.GetProperty(key);
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.String))
            throw Wrong(key, "a list of strings", value);
        return [.. value.EnumerateArray().Select(item => item.GetString()!)];
    }

    public CheckpointException Refuse(string key, string reason) => new($"{file}: {prefix}{key}: {reason}");

    private CheckpointException Wrong(string key, string expected, JsonElement value) => new($"{file}: {prefix}{key} must be {expected}, got {OneLine(value)}");

    private static string OneLine(JsonElement value)
    {
        string text = string.Join(' ', value.GetRawText().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return text.Length > 60 ? text[..60] + "…" : text;
    }
}
