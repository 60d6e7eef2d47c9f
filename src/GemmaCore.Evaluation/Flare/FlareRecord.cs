using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace GemmaCore.Evaluation;

/// <summary>
/// One object of a FLARE question file, its keys found under all the names in use and in any case (flare.md §1.2). Knows text, not pictures and not prompts.
/// </summary>
public sealed partial class FlareRecord
{
    private static readonly string[] ImageKeys = ["ImageName", "image_name", "images", "image", "image_path", "ImagePath", "file_name", "filename"];
    private static readonly string[] QuestionKeys = ["Question", "question", "prompt"];
    private static readonly string[] AnswerKeys = ["Answer", "label", "target", "Report"];
    private static readonly string[] TaskKeys = ["TaskType", "task_type", "task"];
    private static readonly string[] OptionKeys = ["Choices", "Options"];
    private static readonly string[] QuestionIdKeys = ["qid", "QuestionID", "question_id", "ID"];
    private static readonly string[] CaseIdKeys = ["ID", "case_id", "CaseID", "qid", "QuestionID"];

    private readonly JsonElement _row;
    private readonly Dictionary<string, JsonElement> _fields = new(StringComparer.OrdinalIgnoreCase); // those with a value, the first of each name
    private readonly string _file;
    private readonly int _index;

    /// <summary>A record.</summary>
    /// <param name="row">The object.</param>
    /// <param name="file">The question file; its folders and name are part of the uid.</param>
    /// <param name="dataset">Name of the data set.</param>
    /// <param name="index">Index of the object in the file.</param>
    /// <exception cref="FormatException">The task type is unknown, or a picture name is no text.</exception>
    /// <exception cref="InvalidOperationException">A string is not valid Unicode.</exception>
    public FlareRecord(JsonElement row, string file, string dataset, int index)
    {
        (_row, _file, Dataset, _index) = (row, file, dataset, index);
        foreach (JsonProperty field in row.EnumerateObject())
            if (field.Value.ValueKind != JsonValueKind.Null) _fields.TryAdd(field.Name, field.Value);
        TaskText = Text(Find(TaskKeys));
        Task = TaskText.Length == 0 ? null : TaskTypes.Parse(TaskText) ?? throw new FormatException($"TaskType '{TaskText}' is unknown");
        Question = Text(Find(QuestionKeys));
        Modality = Text(Find(["Modality"])) is { Length: > 0 } named ? named : FlareSplits.Category(file);
        ImageNames = Names(Find(ImageKeys));
        // Converted rows name their data set themselves.
        if (Text(Find(["uid"])).Split(':') is { Length: >= 6 } parts) Dataset = parts[1];
        Options = Find(OptionKeys);
        Answer = Find(AnswerKeys);
        Uid = MakeUid();
    }

    /// <summary>Name of the data set.</summary>
    public string Dataset { get; }

    /// <summary>Task type as spelt in the row.</summary>
    public string TaskText { get; }

    /// <summary>Family of the question; null where the row has none.</summary>
    public TaskType? Task { get; }

    /// <summary>True for boxes under keys.</summary>
    public bool IsInstanceDetection => (TaskText + Field("subtask")).Contains("instance", StringComparison.OrdinalIgnoreCase);

    /// <summary>The question.</summary>
    public string Question { get; }

    /// <summary>Modality as spelt in the row; where it does not say, the category's folder.</summary>
    public string Modality { get; }

    /// <summary>Names of the pictures, as written.</summary>
    public IReadOnlyList<string> ImageNames { get; }

    /// <summary>Choices of the row; null where it has none.</summary>
    public JsonElement? Options { get; }

    /// <summary>The right answer as it stands in the file; null where there is none.</summary>
    public JsonElement? Answer { get; }

    /// <summary>Name of the row across tools: <c>split:dataset:file:case:task:question</c>.</summary>
    public string Uid { get; }

    /// <summary>Split as uids name it.</summary>
    public string Split => FlareSplits.Name(Text(Find(["Split"])), _file);

    /// <summary>Name of the case: an id of the row, or the stem of its first picture.</summary>
    public string CaseId { get; private set; } = "";

    /// <summary>Name of the question: an id of the row, or its index in the file.</summary>
    public string QuestionId { get; private set; } = "";

    /// <summary>Any other field as text; empty where it is missing.</summary>
    public string Field(string name) => Text(Find([name]));

    /// <summary>"A) text B) text" from an object or a list of choices; a text is taken as it is.</summary>
    public string OptionsLine() => Options switch
    {
        { ValueKind: JsonValueKind.Object } map => string.Join(' ', map.EnumerateObject().Select(entry => $"{entry.Name}) {Text(entry.Value)}")),
        { ValueKind: JsonValueKind.Array } list => string.Join(' ', list.EnumerateArray().Select((item, index) => $"{(char)('A' + index % 26)}) {Text(item)}")),
        _ => Text(Options),
    };

    /// <summary>The answer as the 2026 baseline teaches it: lists joined item by item, objects as JSON, everything else its text (flare.md §3.2).</summary>
    public static string Target(JsonElement answer)
    {
        JsonElement value = answer;
        if (answer.ValueKind == JsonValueKind.String)
        {
            string text = answer.GetString()!.Trim();
            if (!text.StartsWith('[') || AnswerText.Decode(text) is not { ValueKind: JsonValueKind.Array } decoded) return text;
            // A flat box stays as it was written; only lists of lists are joined.
            if (!decoded.EnumerateArray().All(item => item.ValueKind == JsonValueKind.Array)) return text;
            value = decoded;
        }

        if (value.ValueKind != JsonValueKind.Array) return value.GetRawText();
        return string.Join("; ", value.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.String ? item.GetString() : Spaced(item)));
    }

    /// <summary>The key by which the challenge finds a row: picture name and question, lists spelt as Python spells them (flare.md §5).</summary>
    public static string Key(IReadOnlyList<string> imageNames, string question)
    {
        ArgumentNullException.ThrowIfNull(imageNames);
        return (imageNames.Count == 1 ? imageNames[0] : "[" + string.Join(", ", imageNames.Select(name => $"'{name}'")) + "]") + "||" + question;
    }

    private static string Spaced(JsonElement item) => item.ValueKind == JsonValueKind.Array
        ? "[" + string.Join(", ", item.EnumerateArray().Select(part => part.GetRawText())) + "]"
        : item.GetRawText();

    // split:dataset:file:case:task:question, as the 2026 baseline names its rows (flare.md §3.4).
    private string MakeUid()
    {
        string given = Text(Find(["uid"]));
        string caseId = Text(Find(CaseIdKeys)), questionId = Text(Find(QuestionIdKeys)), index = _index.ToString(CultureInfo.InvariantCulture);
        if (caseId.Length == 0) caseId = ImageNames.Count > 0 ? Path.GetFileNameWithoutExtension(ImageNames[0]) : index;
        CaseId = OtherCharacters().Replace(caseId, "_").Trim('_') is { Length: > 0 } plain ? plain : "unknown";
        QuestionId = questionId.Length > 0 ? questionId : index;
        return given.Length > 0 ? given : string.Join(':', Split, Dataset, Path.GetFileNameWithoutExtension(_file), CaseId, Task?.Name() ?? "other", QuestionId);
    }

    // Exact spelling first, then without regard to case: real files mix both.
    private JsonElement? Find(string[] keys)
    {
        foreach (string key in keys)
            if (_row.TryGetProperty(key, out JsonElement value)) return value.ValueKind == JsonValueKind.Null ? null : value;
        foreach (string key in keys)
            if (_fields.TryGetValue(key, out JsonElement value)) return value;
        return null;
    }

    private static string Text(JsonElement? value) => value switch
    {
        null => "",
        { ValueKind: JsonValueKind.String } text => text.GetString()!.Trim(),
        { } other => other.GetRawText(),
    };

    private static IReadOnlyList<string> Names(JsonElement? value)
    {
        if (value is not { } names) return [];
        IEnumerable<JsonElement> items = names.ValueKind == JsonValueKind.Array ? names.EnumerateArray() : [names];
        return [.. items.Select(item => item.ValueKind == JsonValueKind.String && item.GetString()!.Length > 0
            ? item.GetString()!
            : throw new FormatException($"ImageName must be a file name or a list of them, got {item.GetRawText()}"))];
    }

    [GeneratedRegex("[^A-Za-z0-9_.-]+")]
    private static partial Regex OtherCharacters();
}
