using System.Text.Json;
using GemmaCore.Inputs;

namespace GemmaCore.Generation.Constraints.Json;

/// <summary>Strings as a schema narrows them: by length, by a regular expression, or by one of the formats that are regular.</summary>
internal static class StringPatterns
{
    private const string Date = @"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])", Time = @"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)";

    private const string Octet = @"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)";

    // Dates end on the 28th: which months are longer is not worth an automaton.
    private static readonly Dictionary<string, string> Formats = new()
    {
        ["date"] = Date, ["time"] = Time, ["date-time"] = $"{Date}T{Time}", ["uuid"] = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        ["ipv4"] = $@"{Octet}\.{Octet}\.{Octet}\.{Octet}", ["email"] = @"[a-zA-Z0-9_+-]{1,32}(\.[a-zA-Z0-9_+-]{1,16})?@[a-zA-Z0-9]{1,32}(\.[a-zA-Z0-9]{1,16}){1,3}",
    };

    public static Pattern Read(JsonElement schema, string path, int longest)
    {
        int? least = SchemaKeywords.Count(schema, "minLength", path, longest), most = SchemaKeywords.Count(schema, "maxLength", path, longest);
        bool hasPattern = schema.TryGetProperty("pattern", out JsonElement pattern), hasFormat = schema.TryGetProperty("format", out JsonElement format);
        if (most < least) throw new InputException($"{path}: 'maxLength' is less than 'minLength'");
        if (hasPattern && hasFormat) throw new InputException($"{path}: 'pattern' beside 'format' is not supported");
        if ((hasPattern || hasFormat) && (least > 0 || most is not null)) throw new InputException($"{path}: '{(hasPattern ? "pattern" : "format")}' beside 'minLength' or 'maxLength' is not supported; put the length into the pattern");
        if (hasPattern) return OfRegex(pattern, path);
        if (!hasFormat) return least is null && most is null ? JsonPatterns.String : JsonPatterns.Quoted(Pattern.Repeat(JsonPatterns.CountedCharacter, least ?? 0, most));
        string name = format.ValueKind == JsonValueKind.String ? format.GetString()! : "";
        return Formats.TryGetValue(name, out string? expression)
            ? JsonPatterns.Quoted(RegexReader.Read(expression))
            : throw new InputException($"{path}: the format '{(name.Length > 40 ? name[..40] + "…" : name)}' is not supported; supported are {string.Join(", ", Formats.Keys)}");
    }

    private static Pattern OfRegex(JsonElement pattern, string path)
    {
        if (pattern.ValueKind != JsonValueKind.String) throw new InputException($"{path}: 'pattern' must be a string");
        try
        {
            return JsonPatterns.Quoted(RegexReader.Read(pattern.GetString()!, anchored: false, JsonPatterns.CharacterOf));
        }
        catch (InputException error)
        {
            throw new InputException($"{path}: 'pattern': {error.Message}", error);
        }
    }
}
