using System.Text;
using System.Text.Json;

namespace GemmaCore.Evaluation;

/// <summary>The question files of a FLARE folder, and what is in them (flare.md §1.1, §1.2).</summary>
public static class FlareFiles
{
    private static readonly string[] ListKeys = ["questions", "data", "annotations", "items"];

    /// <summary>The question files of one split, sorted by path, or the rows converted from them; a file stands for itself.</summary>
    /// <param name="root">Folder of the splits, or a question file.</param>
    /// <param name="split">Split folder, under any of its spellings.</param>
    /// <param name="answers">True to take the organisers' files with answers (<c>…_withGT.json</c>) too, instead of those without where both are there.</param>
    /// <returns>Nothing where the split has no folder.</returns>
    public static IReadOnlyList<string> Find(string root, string split, bool answers = false)
    {
        if (File.Exists(root)) return [root];
        if (FlareSplits.Folder(root, split) is not { } folder)
            return Path.Combine(root, FlareSplits.Converted(split) + ".jsonl") is var converted && File.Exists(converted) ? [converted] : [];
        string[] files =
        [
            .. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
                .Where(file => file.EndsWith(".json", StringComparison.OrdinalIgnoreCase) && Path.GetFileName(file) is var name && !name.StartsWith('.') && name != "predictions.json")
                .Where(file => !Path.GetRelativePath(folder, file).Split(Path.DirectorySeparatorChar).Contains(".cache"))
                .Order(StringComparer.Ordinal),
        ];
        if (!answers) return [.. files.Where(file => !HoldsAnswers(file))];
        return [.. files.Where(file => !files.Contains(file[..^Path.GetExtension(file).Length] + "_withGT.json"))];
    }

    /// <summary>True for rows of <c>flare convert</c>: JSON lines that carry their own names.</summary>
    public static bool IsConverted(string file) => file?.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase) == true;

    /// <summary>A question file's bytes; lines of converted rows as one array.</summary>
    public static byte[] ReadAllBytes(string file) => !IsConverted(file)
        ? File.ReadAllBytes(file)
        : Encoding.UTF8.GetBytes("[" + string.Join(",\n", File.ReadLines(file).Where(line => !string.IsNullOrWhiteSpace(line))) + "]");

    /// <summary>True for the organisers' files with the answers of hidden splits.</summary>
    public static bool HoldsAnswers(string file) => Path.GetFileName(file)?.Contains("withGT", StringComparison.OrdinalIgnoreCase) == true;

    /// <summary>
    /// The data set a question file belongs to: the name of its folder; of the file itself where only that was named and does not begin as its folder does, as
    /// <c>&lt;dataset&gt;/&lt;dataset&gt;_questions_val.json</c> do.
    /// </summary>
    public static string DatasetOf(string root, string file)
    {
        string folder = Path.GetFileName(Path.GetDirectoryName(Path.GetFullPath(file)))!, stem = Path.GetFileNameWithoutExtension(file);
        return File.Exists(root) && !stem.StartsWith(folder + "_questions", StringComparison.Ordinal) ? stem : folder;
    }

    /// <summary>A question file as JSON.</summary>
    /// <exception cref="FormatException">It is no JSON.</exception>
    public static JsonDocument Open(ReadOnlyMemory<byte> json, string file)
    {
        if (json.Span.StartsWith("\uFEFF"u8)) json = json[3..];
        try
        {
            return JsonDocument.Parse(json);
        }
        catch (JsonException error)
        {
            throw new FormatException($"{file}: not valid JSON: {error.Message}");
        }
    }

    /// <summary>The list of questions in a file: the array itself, or one under a known key.</summary>
    /// <exception cref="FormatException">There is none.</exception>
    public static JsonElement Questions(JsonElement root, string file)
    {
        if (root.ValueKind == JsonValueKind.Object)
        {
            foreach (string key in ListKeys)
                if (root.TryGetProperty(key, out JsonElement list) && list.ValueKind == JsonValueKind.Array) return list;
        }

        return root.ValueKind == JsonValueKind.Array ? root : throw new FormatException($"{file}: expected a JSON array of questions");
    }
}
