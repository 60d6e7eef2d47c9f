using System.Globalization;
using System.Text.Json;

namespace GemmaCore.Server.OpenAi;

/// <summary>A value of a request body that knows its place, so that a wrong one is reported by the name of the field.</summary>
internal readonly struct RequestField
{
    private readonly JsonElement _element;

    private RequestField(JsonElement element, string path) => (_element, Path) = (element, path);

    /// <summary>E.g. <c>messages[0].content</c>; empty for the body.</summary>
    public string Path { get; }

    public JsonValueKind Kind => _element.ValueKind;

    public bool IsNull => Kind is JsonValueKind.Null or JsonValueKind.Undefined;

    /// <summary>True for an array without elements.</summary>
    public bool IsEmpty => Kind == JsonValueKind.Array && _element.GetArrayLength() == 0;

    public static RequestField Body(JsonElement root) => new RequestField(root, "").Expect(JsonValueKind.Object, "a JSON object");

    /// <summary>A member; null when absent.</summary>
    public RequestField this[string name]
    {
        get
        {
            string path = Path.Length == 0 ? name : $"{Path}.{name}";
            if (IsNull) return new RequestField(default, path);
            return new RequestField(Expect(JsonValueKind.Object, "an object")._element.TryGetProperty(name, out JsonElement value) ? value : default, path);
        }
    }

    /// <summary>Refuses members with other names, null apart, which asks for nothing: none is silently ignored.</summary>
    public void AllowOnly(ReadOnlySpan<string> known)
    {
        foreach (JsonProperty member in Expect(JsonValueKind.Object, "an object")._element.EnumerateObject())
        {
            if (known.Contains(member.Name) || member.Value.ValueKind == JsonValueKind.Null) continue;
            string name = RequestException.Shorten(Path.Length == 0 ? member.Name : $"{Path}.{member.Name}");
            throw RequestException.Invalid($"Unrecognized request argument supplied: {name}", name, "unknown_parameter");
        }
    }

    public RequestField Required() => IsNull ? throw RequestException.Invalid($"Missing required parameter: '{Path}'", Path, "missing_required_parameter") : this;

    public string Text()
    {
        try
        {
            return Expect(JsonValueKind.String, "a string")._element.GetString()!;
        }
        catch (InvalidOperationException) // half of a surrogate pair
        {
            throw Wrong("valid Unicode text");
        }
    }

    /// <summary>The value as JSON, as it was sent.</summary>
    public string Json() => IsNull ? "null" : _element.GetRawText();

    public string? TextOrNull() => IsNull ? null : Text();

    public int Integer(int low, int high)
    {
        if (Kind == JsonValueKind.Number && _element.TryGetInt32(out int value) && value >= low && value <= high) return value;
        throw Wrong($"an integer from {low} to {high}");
    }

    public int IntegerOr(int fallback, int low, int high) => IsNull ? fallback : Integer(low, high);

    public float Number(float low, float high)
    {
        if (Kind == JsonValueKind.Number && _element.TryGetSingle(out float value) && value >= low && value <= high) return value;
        throw Wrong(string.Create(CultureInfo.InvariantCulture, $"a number from {low} to {high}"));
    }

    public float NumberOr(float fallback, float low, float high) => IsNull ? fallback : Number(low, high);

    public bool FlagOr(bool fallback) => Kind switch
    {
        JsonValueKind.Null or JsonValueKind.Undefined => fallback,
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Wrong("true or false"),
    };

    /// <summary>Any 64-bit integer as a seed.</summary>
    public ulong? SeedOrNull()
    {
        if (IsNull) return null;
        if (Kind == JsonValueKind.Number && _element.TryGetInt64(out long value)) return unchecked((ulong)value);
        return Kind == JsonValueKind.Number && _element.TryGetUInt64(out ulong large) ? large : throw Wrong("a 64-bit integer");
    }

    public IReadOnlyList<RequestField> Items(int most)
    {
        int count = Expect(JsonValueKind.Array, "an array")._element.GetArrayLength();
        if (count > most) throw RequestException.Invalid($"'{Path}' has {count} elements; at most {most} are allowed", Path, "array_above_max_length");
        var items = new List<RequestField>(count);
        foreach (JsonElement item in _element.EnumerateArray()) items.Add(new RequestField(item, $"{Path}[{items.Count}]"));
        return items;
    }

    public IEnumerable<(string Name, RequestField Value)> Members()
    {
        foreach (JsonProperty member in Expect(JsonValueKind.Object, "an object")._element.EnumerateObject())
            yield return (member.Name, new RequestField(member.Value, $"{Path}.{RequestException.Shorten(member.Name)}"));
    }

    public RequestException Wrong(string expected) => RequestException.Invalid($"Invalid value for '{Path}': expected {expected}", Path, "invalid_value");

    private RequestField Expect(JsonValueKind kind, string expected)
    {
        if (Kind == kind) return this;
        throw Path.Length == 0 ? RequestException.Invalid($"The body must be {expected}") : IsNull ? Required().Wrong(expected) : Wrong(expected);
    }
}
