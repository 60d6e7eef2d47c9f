using System.Text.Json;
using GemmaCore.Inputs;

namespace GemmaCore.Generation.Constraints.Json;

/// <summary>The keywords of JSON Schema (2020-12, and the older <c>definitions</c>): those that are obeyed, those that say nothing about validity, and all others, which are refused.</summary>
internal static class SchemaKeywords
{
    private static readonly HashSet<string> Obeyed =
    [
        "type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "minLength", "maxLength", "pattern",
        "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    ];

    private static readonly HashSet<string> Annotations =
    [
        "title", "description", "default", "examples", "example", "$schema", "$id", "$comment", "$defs", "definitions", "deprecated", "readOnly", "writeOnly", "strict",
    ];

    // A schema that has one of these and no type means that type.
    private static readonly (string Type, string[] Keywords)[] Implied =
    [
        ("object", ["properties", "required", "additionalProperties"]), ("array", ["items", "minItems", "maxItems"]), ("string", ["minLength", "maxLength", "pattern", "format"]),
        ("number", ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]),
    ];

    /// <exception cref="InputException">A keyword is not supported.</exception>
    public static void Check(JsonElement schema, string path)
    {
        foreach (JsonProperty keyword in schema.EnumerateObject())
        {
            string name = keyword.Name.Length > 60 ? keyword.Name[..60] + "…" : keyword.Name;
            if (keyword.NameEquals("uniqueItems") && keyword.Value.ValueKind == JsonValueKind.False) continue;
            if (!Obeyed.Contains(keyword.Name) && !Annotations.Contains(keyword.Name)) throw new InputException($"{path}: the keyword '{name}' is not supported");
        }
    }

    /// <summary>Refuses every keyword but some and the annotations beside them, where the meaning together would be more than either.</summary>
    /// <exception cref="InputException">There is another one.</exception>
    public static void CheckAlone(JsonElement schema, string path, params ReadOnlySpan<string> allowed)
    {
        foreach (JsonProperty keyword in schema.EnumerateObject())
            if (!Annotations.Contains(keyword.Name) && !allowed.Contains(keyword.Name)) throw new InputException($"{path}: '{keyword.Name}' beside '{allowed[0]}' is not supported");
    }

    /// <summary>The types that a schema allows, all of them where it says nothing.</summary>
    public static IReadOnlyList<string> Types(JsonElement schema, string path)
    {
        if (schema.TryGetProperty("type", out JsonElement type))
        {
            string[] types = type.ValueKind switch
            {
                JsonValueKind.String => [type.GetString()!],
                JsonValueKind.Array when type.GetArrayLength() is > 0 and < 8 => [.. type.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.String ? item.GetString()! : "?")],
                _ => ["?"],
            };
            return types;
        }

        string[] implied = [.. Implied.Where(pair => pair.Keywords.Any(name => schema.TryGetProperty(name, out _))).Select(pair => pair.Type)];
        return implied.Length <= 1 ? implied : throw new InputException($"{path}: keywords for {string.Join(" and ", implied)} without a 'type'");
    }

    /// <summary>A number of things, not negative.</summary>
    public static int? Count(JsonElement schema, string name, string path, int most)
    {
        if (!schema.TryGetProperty(name, out JsonElement value)) return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int count) && count >= 0 && count <= most) return count;
        throw new InputException($"{path}: '{name}' must be a whole number from 0 to {most}");
    }

    /// <summary>A bound, exactly.</summary>
    public static decimal? Bound(JsonElement schema, string name, string path)
    {
        if (!schema.TryGetProperty(name, out JsonElement value)) return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out decimal bound) && value.TryGetDouble(out double same) && (double)bound == same) return bound;
        throw new InputException($"{path}: '{name}' must be a number with up to 28 digits");
    }
}
