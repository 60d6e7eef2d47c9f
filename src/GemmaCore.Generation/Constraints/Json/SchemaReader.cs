using System.Text.Json;
using GemmaCore.Inputs;

namespace GemmaCore.Generation.Constraints.Json;

/// <summary>
/// Reads a JSON schema as a pattern of the texts that are valid under it. Not every valid text is allowed, but every allowed text is valid: properties come in the order of the
/// schema, an object with declared properties holds those alone, and JSON is narrowed as <see cref="JsonPatterns"/> says. <c>oneOf</c> is taken as <c>anyOf</c>. A keyword that is not
/// understood is refused by name (<see cref="SchemaKeywords"/>).
/// </summary>
internal sealed class SchemaReader
{
    /// <summary>Most bytes of a schema.</summary>
    public const int MaxBytes = 128 << 10;

    private const int MaxDepth = 32, MaxAlternatives = 256, MaxItems = 1000, MaxLength = 4000, MaxProperties = 256;

    private readonly JsonElement _root;
    private readonly Dictionary<string, RulePattern> _references = new(StringComparer.Ordinal);
    private readonly Queue<(RulePattern Rule, JsonElement Schema, string Path)> _unread = [];
    private readonly RulePattern _any = (RulePattern)JsonPatterns.AnyValue();

    private SchemaReader(JsonElement root) => _root = root;

    /// <exception cref="InputException">It is no schema, or uses what is not supported; the message says where.</exception>
    public static Pattern Read(string schema)
    {
        if (System.Text.Encoding.UTF8.GetByteCount(schema) > MaxBytes) throw new InputException($"the schema is larger than {MaxBytes} bytes");
        try
        {
            using JsonDocument document = JsonDocument.Parse(schema, new JsonDocumentOptions { MaxDepth = 2 * MaxDepth, AllowDuplicateProperties = false });
            var reader = new SchemaReader(document.RootElement);
            Pattern whole = reader.Value(document.RootElement, "$", 0);
            while (reader._unread.TryDequeue(out (RulePattern Rule, JsonElement Schema, string Path) next)) next.Rule.Body = reader.Value(next.Schema, next.Path, 0);
            return whole;
        }
        catch (JsonException error)
        {
            throw new InputException($"the schema is not valid JSON, or nested more than {2 * MaxDepth} levels (line {error.LineNumber + 1}, byte {error.BytePositionInLine})", error);
        }
        catch (InvalidOperationException error) // text that is half of a surrogate pair
        {
            throw new InputException("the schema holds text that is not valid Unicode", error);
        }
    }

    private Pattern Value(JsonElement schema, string path, int depth)
    {
        if (depth > MaxDepth) throw new InputException($"{path}: schemas inside each other deeper than {MaxDepth} levels");
        if (schema.ValueKind == JsonValueKind.True) return _any;
        if (schema.ValueKind == JsonValueKind.False) throw new InputException($"{path}: false allows nothing");
        if (schema.ValueKind != JsonValueKind.Object) throw new InputException($"{path}: a schema must be an object or true");
        SchemaKeywords.Check(schema, path);
        if (schema.TryGetProperty("$ref", out JsonElement reference))
        {
            SchemaKeywords.CheckAlone(schema, path, "$ref");
            return Referenced(reference, path);
        }

        foreach (string name in (ReadOnlySpan<string>)["anyOf", "oneOf", "allOf"])
        {
            if (!schema.TryGetProperty(name, out JsonElement choices)) continue;
            SchemaKeywords.CheckAlone(schema, path, name);
            return Alternatives(choices, name, path, depth);
        }

        if (schema.TryGetProperty("const", out JsonElement constant)) return Constants(schema, "const", [constant], path);
        if (schema.TryGetProperty("enum", out JsonElement constants))
        {
            if (constants.ValueKind != JsonValueKind.Array || constants.GetArrayLength() is 0 or > 2048) throw new InputException($"{path}: 'enum' must be a list of 1 to 2048 values");
            return Constants(schema, "enum", [.. constants.EnumerateArray()], path);
        }

        IReadOnlyList<string> types = SchemaKeywords.Types(schema, path);
        return types.Count == 0 ? _any : Pattern.OneOf([.. types.Select(type => OfType(type, schema, path, depth))]);
    }

    private Pattern OfType(string type, JsonElement schema, string path, int depth) => type switch
    {
        "null" => JsonPatterns.Null,
        "boolean" => JsonPatterns.Boolean,
        "string" => StringPatterns.Read(schema, path, MaxLength),
        "integer" => Bounded(schema, path, isInteger: true),
        "number" => Bounded(schema, path, isInteger: false),
        "array" => ArrayOf(schema, path, depth),
        "object" => ObjectOf(schema, path, depth),
        _ => throw new InputException($"{path}: 'type' must be string, number, integer, boolean, object, array or null, or a list of these"),
    };

    // A place in the schema that is read once, however often it is named; so a schema may contain itself.
    private RulePattern Referenced(JsonElement reference, string path)
    {
        string? name = reference.ValueKind == JsonValueKind.String ? reference.GetString() : null;
        if (name is null || (name != "#" && !name.StartsWith("#/", StringComparison.Ordinal))) throw new InputException($"{path}: '$ref' must be '#' or begin with '#/'; other documents are not fetched");
        string shown = name.Length > 80 ? name[..80] + "…" : name;
        if (_references.TryGetValue(name, out RulePattern? known)) return known;
        JsonElement at = _root;
        foreach (string step in name.Split('/').Skip(1))
        {
            string key = Uri.UnescapeDataString(step).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            bool found = at.ValueKind == JsonValueKind.Object ? at.TryGetProperty(key, out at)
                : at.ValueKind == JsonValueKind.Array && int.TryParse(key, out int index) && index >= 0 && index < at.GetArrayLength() && (at = at[index]).ValueKind != JsonValueKind.Undefined;
            if (!found) throw new InputException($"{path}: '$ref' {shown} leads nowhere");
        }

        var rule = new RulePattern(shown);
        _references[name] = rule;
        _unread.Enqueue((rule, at, shown));
        return rule;
    }

    private Pattern Alternatives(JsonElement choices, string name, string path, int depth)
    {
        if (choices.ValueKind != JsonValueKind.Array || choices.GetArrayLength() is 0 or > MaxAlternatives) throw new InputException($"{path}: '{name}' must be a list of 1 to {MaxAlternatives} schemas");
        if (name == "allOf" && choices.GetArrayLength() > 1) throw new InputException($"{path}: 'allOf' of more than one schema is not supported");
        return Pattern.OneOf([.. choices.EnumerateArray().Select((choice, index) => Value(choice, $"{path}.{name}[{index}]", depth + 1))]);
    }

    private static Pattern Constants(JsonElement schema, string keyword, JsonElement[] values, string path)
    {
        SchemaKeywords.CheckAlone(schema, path, keyword, "type");
        IReadOnlyList<string> types = SchemaKeywords.Types(schema, path);
        JsonElement[] fitting = [.. values.Where(value => types.Count == 0 || types.Any(type => IsOf(value, type)))];
        return fitting.Length > 0 ? Pattern.OneOf([.. fitting.Select(Constant)]) : throw new InputException($"{path}: no value of '{keyword}' has the 'type'");
    }

    private static bool IsOf(JsonElement value, string type) => value.ValueKind switch
    {
        JsonValueKind.String => type == "string",
        JsonValueKind.Number => type == "number" || (type == "integer" && value.TryGetDecimal(out decimal number) && number == decimal.Truncate(number)),
        JsonValueKind.True or JsonValueKind.False => type == "boolean",
        JsonValueKind.Null => type == "null",
        JsonValueKind.Array => type == "array",
        _ => type == "object",
    };

    private static Pattern Constant(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => JsonPatterns.Literal(value.GetString()!),
        JsonValueKind.Array => Pattern.Sequence(
            [Pattern.Text("["), .. value.EnumerateArray().SelectMany((item, index) => (Pattern[])[index == 0 ? Pattern.Empty : JsonPatterns.Comma(), Constant(item)]), Pattern.Text("]")]),
        JsonValueKind.Object => Pattern.Sequence(
            [
                Pattern.Text("{"),
                .. value.EnumerateObject().SelectMany((member, index) => (Pattern[])
                    [index == 0 ? Pattern.Empty : JsonPatterns.Comma(), JsonPatterns.Literal(member.Name), JsonPatterns.Colon(), Constant(member.Value)]),
                Pattern.Text("}"),
            ]),
        _ => Pattern.Text(value.GetRawText()),
    };

    private static Pattern Bounded(JsonElement schema, string path, bool isInteger)
    {
        decimal? least = SchemaKeywords.Bound(schema, "minimum", path), most = SchemaKeywords.Bound(schema, "maximum", path);
        decimal? above = SchemaKeywords.Bound(schema, "exclusiveMinimum", path), below = SchemaKeywords.Bound(schema, "exclusiveMaximum", path);
        // A number next to a bound that it must not reach: for integers the next, for others a billionth away.
        if (above is { } low) least = Math.Max(least ?? decimal.MinValue, isInteger ? decimal.Floor(low) + 1 : low + 1e-9m);
        if (below is { } high) most = Math.Min(most ?? decimal.MaxValue, isInteger ? decimal.Ceiling(high) - 1 : high - 1e-9m);
        if (least is null && most is null) return isInteger ? JsonPatterns.Integer : JsonPatterns.Number;
        try
        {
            return isInteger ? NumberRange.Integers(least, most) : NumberRange.Numbers(least, most);
        }
        catch (InputException error)
        {
            throw new InputException($"{path}: {error.Message}", error);
        }
    }

    private Pattern ArrayOf(JsonElement schema, string path, int depth)
    {
        int least = SchemaKeywords.Count(schema, "minItems", path, MaxItems) ?? 0;
        int? most = SchemaKeywords.Count(schema, "maxItems", path, MaxItems);
        if (most < least) throw new InputException($"{path}: 'maxItems' is less than 'minItems'");
        Pattern item = schema.TryGetProperty("items", out JsonElement items) ? Value(items, $"{path}.items", depth + 1) : _any;
        // Built once and not for every place of a bounded list.
        if (item is not RulePattern) item = new RulePattern($"{path}.items") { Body = item };
        return JsonPatterns.Array(item, least, most);
    }

    private Pattern ObjectOf(JsonElement schema, string path, int depth)
    {
        Dictionary<string, Pattern> properties = [];
        if (schema.TryGetProperty("properties", out JsonElement declared))
        {
            if (declared.ValueKind != JsonValueKind.Object) throw new InputException($"{path}: 'properties' must be an object");
            foreach (JsonProperty property in declared.EnumerateObject()) properties[property.Name] = Value(property.Value, $"{path}.{Shorten(property.Name)}", depth + 1);
        }

        bool isClosed = schema.TryGetProperty("additionalProperties", out JsonElement more) && more.ValueKind == JsonValueKind.False;
        Pattern other = isClosed || more.ValueKind == JsonValueKind.Undefined ? _any : Value(more, $"{path}.additionalProperties", depth + 1);
        HashSet<string> required = Required(schema, path);
        foreach (string name in required)
            if (!properties.ContainsKey(name)) properties[name] = isClosed ? throw new InputException($"{path}: '{Shorten(name)}' is required, but 'additionalProperties' is false and it is no property") : other;
        if (properties.Count > MaxProperties) throw new InputException($"{path}: more than {MaxProperties} properties");
        if (properties.Count > 0) return ObjectPattern.Of([.. properties.Select(property => (property.Key, property.Value, required.Contains(property.Key)))]);
        return isClosed ? JsonPatterns.Braces(Pattern.Empty) : JsonPatterns.Object(other);
    }

    private static HashSet<string> Required(JsonElement schema, string path)
    {
        if (!schema.TryGetProperty("required", out JsonElement names)) return [];
        if (names.ValueKind != JsonValueKind.Array || names.EnumerateArray().Any(name => name.ValueKind != JsonValueKind.String)) throw new InputException($"{path}: 'required' must be a list of names");
        return [.. names.EnumerateArray().Select(name => name.GetString()!)];
    }

    private static string Shorten(string name) => name.Length <= 60 ? name : name[..60] + "…";
}
