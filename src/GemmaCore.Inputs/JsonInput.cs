using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace GemmaCore.Inputs;

/// <summary>A JSON value that remembers where it stands, so that a wrong one is reported by file and key.</summary>
internal readonly struct JsonInput
{
    private readonly JsonElement _element;
    private readonly string _file;
    private readonly string _key;

    private JsonInput(JsonElement element, string file, string key) => (_element, _file, _key) = (element, file, key);

    public JsonValueKind Kind => _element.ValueKind;

    public bool IsNull => Kind is JsonValueKind.Null or JsonValueKind.Undefined;

    public int Length => Expect(JsonValueKind.Array)._element.GetArrayLength();

    /// <summary>Reads a whole file; the file must hold a JSON object.</summary>
    public static JsonInput FromFile(string path) => Parse(ReadFile(path), path);

    /// <summary>Reads a whole file, or gives a value that is null where there is none.</summary>
    public static JsonInput FromFileIfPresent(string path) => File.Exists(path) ? FromFile(path) : new JsonInput(default, path, "");

    public static JsonInput Parse(ReadOnlyMemory<byte> utf8, string file)
    {
        try
        {
            return new JsonInput(JsonDocument.Parse(utf8).RootElement, file, "").Expect(JsonValueKind.Object);
        }
        catch (JsonException exception)
        {
            throw new InputException($"{file}: not valid JSON: {exception.Message.ReplaceLineEndings(" ")}", exception);
        }
    }

    public static byte[] ReadFile(string path)
    {
        if (Directory.Exists(path)) throw new InputException($"{path}: is a folder; expected a file");
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException or ArgumentException)
        {
            throw new InputException($"{path}: not found", exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {exception.Message}", exception);
        }
    }

    /// <summary>A member that has to be there and not be null.</summary>
    public JsonInput Required(string name)
    {
        JsonInput member = Optional(name);
        return member.IsNull ? throw new InputException($"{_file}: key '{Join(name)}' is missing") : member;
    }

    /// <summary>A member, or a null value.</summary>
    public JsonInput Optional(string name)
    {
        if (IsNull) return new JsonInput(default, _file, Join(name));
        Expect(JsonValueKind.Object);
        return new JsonInput(_element.TryGetProperty(name, out JsonElement member) ? member : default, _file, Join(name));
    }

    /// <summary>The first of several spellings that is present, or a null value.</summary>
    public JsonInput FirstOf(params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
            if (Optional(name) is { IsNull: false } member) return member;
        return Optional(names[0]);
    }

    public string Text()
    {
        try
        {
            return Expect(JsonValueKind.String)._element.GetString()!;
        }
        catch (InvalidOperationException exception)
        {
            throw new InputException($"{_file}: '{_key}' holds text that is not valid Unicode", exception);
        }
    }

    public int Integer()
    {
        if (Expect(JsonValueKind.Number)._element.TryGetInt32(out int value)) return value;
        return _element.TryGetDouble(out double real) && real == (int)real ? (int)real : throw Wrong("an integer");
    }

    public double Number() =>
        Expect(JsonValueKind.Number)._element.TryGetDouble(out double value) && double.IsFinite(value) ? value : throw Wrong("a finite number");

    public bool Flag() => Kind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Wrong("true or false"),
    };

    public string TextOr(string fallback) => IsNull ? fallback : Text();

    public int IntegerOr(int fallback) => IsNull ? fallback : Integer();

    public double NumberOr(double fallback) => IsNull ? fallback : Number();

    public bool FlagOr(bool fallback) => IsNull ? fallback : Flag();

    public JsonInput Item(int index) => new(Expect(JsonValueKind.Array)._element[index], _file, $"{_key}[{index}]");

    public IEnumerable<JsonInput> Items()
    {
        if (IsNull) yield break;
        int index = 0;
        foreach (JsonElement item in Expect(JsonValueKind.Array)._element.EnumerateArray())
            yield return new JsonInput(item, _file, $"{_key}[{index++}]");
    }

    public IEnumerable<(string Name, JsonInput Value)> Members()
    {
        if (IsNull) yield break;
        foreach (JsonProperty member in Expect(JsonValueKind.Object)._element.EnumerateObject())
        {
            string name = NameOf(member);
            yield return (name, new JsonInput(member.Value, _file, Join(name)));
        }
    }

    /// <summary>The complaint about this value: file, key, expected, found.</summary>
    public InputException Wrong(string expected)
    {
        string found = IsNull ? "nothing" : Encoding.UTF8.GetString(JsonMarshal.GetRawUtf8Value(_element));
        return new InputException($"{_file}: '{_key}' should be {expected} but is {(found.Length > 60 ? found[..60] + "…" : found).ReplaceLineEndings(" ")}");
    }

    private JsonInput Expect(JsonValueKind kind) => Kind == kind ? this : throw Wrong(kind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "text",
        _ => "a number",
    });

    private string NameOf(JsonProperty member)
    {
        try
        {
            return member.Name;
        }
        catch (InvalidOperationException exception)
        {
            throw new InputException($"{_file}: a key under '{_key}' is not valid Unicode", exception);
        }
    }

    private string Join(string name) => _key.Length == 0 ? name : $"{_key}.{name}";
}
