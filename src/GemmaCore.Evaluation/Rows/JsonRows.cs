using System.Text;
using System.Text.Json;

namespace GemmaCore.Evaluation;

/// <summary>The objects of a JSON array or of JSON lines, one after the other, each with its place for messages.</summary>
internal static class JsonRows
{
    /// <summary>Goes through a file. An element is only valid until the next one is asked for.</summary>
    /// <exception cref="EvaluationException">The file is not there, or is no JSON.</exception>
    public static IEnumerable<(string Where, int Index, JsonElement Row)> Read(string file)
    {
        if (!File.Exists(file)) throw new EvaluationException($"{file}: not found; expected a file of JSON lines or a JSON array");
        return FirstCharacter(file) switch
        {
            '[' => ReadArray(file),
            '{' when IsOneDocument(file) => ReadObject(file),
            _ => ReadLines(file),
        };
    }

    /// <summary>True where a file is one object that spans lines or stands alone, not a line of many.</summary>
    public static bool IsOneDocument(string file)
    {
        using StreamReader reader = File.OpenText(file);
        string? first = reader.ReadLine();
        while (first is not null && string.IsNullOrWhiteSpace(first)) first = reader.ReadLine();
        if (first is null) return false;
        try
        {
            using JsonDocument document = JsonDocument.Parse(first);
            if (document.RootElement.ValueKind != JsonValueKind.Object || document.RootElement.TryGetProperty("uid", out _)) return false;
            // One line of an object without a uid: a map from uid to text, unless more lines follow.
            while (reader.ReadLine() is { } line)
                if (!string.IsNullOrWhiteSpace(line)) return false;
            return true;
        }
        catch (JsonException)
        {
            return true;
        }
    }

    private static char FirstCharacter(string file)
    {
        using StreamReader reader = File.OpenText(file);
        int c = reader.Read();
        while (c >= 0 && char.IsWhiteSpace((char)c)) c = reader.Read();
        return c < 0 ? '\0' : (char)c;
    }

    private static IEnumerable<(string Where, int Index, JsonElement Row)> ReadArray(string file)
    {
        using JsonDocument document = Parse(File.ReadAllBytes(file), file);
        int index = 0;
        foreach (JsonElement row in document.RootElement.EnumerateArray())
        {
            if (row.ValueKind == JsonValueKind.Object) yield return ($"{file}: row {index}", index, row);
            index++;
        }
    }

    // An object of rows under a known key, or a map from uid to text: then every entry is a row of two fields.
    private static IEnumerable<(string Where, int Index, JsonElement Row)> ReadObject(string file)
    {
        using JsonDocument document = Parse(File.ReadAllBytes(file), file);
        JsonElement root = document.RootElement;
        int index = 0;
        if (TryList(root, file, out JsonElement list))
        {
            foreach (JsonElement row in list.EnumerateArray())
            {
                if (row.ValueKind == JsonValueKind.Object) yield return ($"{file}: row {index}", index, row);
                index++;
            }

            yield break;
        }

        foreach (JsonProperty entry in root.EnumerateObject())
        {
            using JsonDocument row = JsonDocument.Parse(
                $"{{\"uid\":{JsonSerializer.Serialize(entry.Name)},\"prediction\":{entry.Value.GetRawText()}}}");
            yield return ($"{file}: entry {index}", index++, row.RootElement);
        }
    }

    private static bool TryList(JsonElement root, string file, out JsonElement list)
    {
        try
        {
            list = FlareFiles.Questions(root, file);
            return true;
        }
        catch (FormatException)
        {
            list = default;
            return false;
        }
    }

    private static IEnumerable<(string Where, int Index, JsonElement Row)> ReadLines(string file)
    {
        int number = 0, index = 0;
        foreach (string line in File.ReadLines(file))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line)) continue;
            using JsonDocument document = Parse(Encoding.UTF8.GetBytes(line), $"{file}: line {number}");
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new EvaluationException($"{file}: line {number}: expected a JSON object");
            yield return ($"{file}: line {number}", index++, document.RootElement);
        }
    }

    private static JsonDocument Parse(ReadOnlyMemory<byte> json, string where)
    {
        if (json.Span.StartsWith("\uFEFF"u8)) json = json[3..];
        try
        {
            return JsonDocument.Parse(json);
        }
        catch (JsonException error)
        {
            throw new EvaluationException($"{where}: not valid JSON: {error.Message}", error);
        }
    }
}
