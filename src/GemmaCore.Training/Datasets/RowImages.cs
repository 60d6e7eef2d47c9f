using System.Text.Json;
using GemmaCore.Inputs;

namespace GemmaCore.Training.Datasets;

/// <summary>
/// The pictures that a conversation's row lists beside its turns, in <c>images</c> (TRL, LLaMA-Factory) or <c>image</c> (LLaVA); places in the turns take them in order.
/// </summary>
internal sealed class RowImages
{
    // Beside "image", transformers' chat templates take the picture of a part from any of these.
    private static readonly string[] Keys = ["image", "path", "url", "base64"];

    private readonly string _folder;
    private readonly Queue<(JsonElement Item, string Column)> _waiting = new();
    private bool _partsName;

    /// <summary>Reads a row's columns.</summary>
    /// <param name="row">The row.</param>
    /// <param name="folder">Where relative names begin.</param>
    public RowImages(JsonElement row, string folder)
    {
        _folder = folder;
        foreach (string column in (ReadOnlySpan<string>)["images", "image"])
        {
            if (!row.TryGetProperty(column, out JsonElement value) || value.ValueKind == JsonValueKind.Null) continue;
            foreach (JsonElement item in value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().ToArray() : [value]) _waiting.Enqueue((item, column));
            HasColumn = true;
        }
    }

    /// <summary>True when the row lists pictures, so that <c>&lt;image&gt;</c> in its text is a place for one.</summary>
    public bool HasColumn { get; }

    /// <summary>Pictures that no place has taken; none where the parts name theirs, as <c>flare convert</c> has it: the column then says the same for other readers.</summary>
    public int Left => _partsName ? 0 : _waiting.Count;

    /// <summary>The picture for the next place.</summary>
    /// <exception cref="DatasetException">There is none left, it is not there, or it is no name.</exception>
    public ImagePart Next() =>
        _waiting.TryDequeue(out (JsonElement Item, string Column) next) ? new ImagePart(Source(next.Item, next.Column)) : throw new DatasetException("more <image> than images");

    /// <summary>The picture that a part of type <c>image</c> names itself; null when it is a place for the next of the row.</summary>
    public ImageSource? Of(JsonElement part)
    {
        foreach (string key in Keys)
        {
            if (!part.TryGetProperty(key, out JsonElement value) || value.ValueKind == JsonValueKind.Null) continue;
            _partsName = true;
            return key == "base64" ? Image("data:;base64," + Text(value, key)) : Source(value, key);
        }

        return null;
    }

    /// <summary>The picture of a part: a text or, as Hugging Face's data sets write it, an object with its path or address.</summary>
    public ImageSource Read(JsonElement value, string key)
    {
        _partsName = true;
        return Source(value, key);
    }

    private ImageSource Source(JsonElement value, string key)
    {
        if (value.ValueKind == JsonValueKind.Object)
        {
            foreach (string inner in (ReadOnlySpan<string>)["path", "url"])
                if (value.TryGetProperty(inner, out JsonElement name) && name.ValueKind != JsonValueKind.Null) return Image(Text(name, $"{key}.{inner}"));
        }

        return Image(Text(value, key));
    }

    /// <summary>The full path of a name, which may begin at the file's folder.</summary>
    public string Place(string name) => Path.GetFullPath(Path.Combine(_folder, name));

    /// <summary>A string.</summary>
    /// <exception cref="DatasetException">It is something else.</exception>
    public static string Text(JsonElement value, string key) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new DatasetException($"'{key}' must be a string, got {value.GetRawText()}");

    private ImageSource Image(string text)
    {
        if (text.StartsWith("data:", StringComparison.Ordinal))
        {
            int comma = text.IndexOf(";base64,", StringComparison.Ordinal);
            var bytes = new byte[text.Length];
            return comma >= 0 && Convert.TryFromBase64String(text[(comma + 8)..], bytes, out int length)
                ? ImageSource.FromBytes(bytes.AsMemory(0, length))
                : throw new DatasetException("an image data URL must hold base64");
        }

        if (text.Contains("://", StringComparison.Ordinal)) throw new DatasetException($"image '{text}': pictures are not fetched; save it and give its path");
        if (text.Length == 0 || text.Contains('\0', StringComparison.Ordinal)) throw new DatasetException("the name of an image is empty or holds a zero byte");
        string path = Place(text);
        return File.Exists(path) ? ImageSource.FromFile(path) : throw new DatasetException($"image '{text}' not found");
    }
}
