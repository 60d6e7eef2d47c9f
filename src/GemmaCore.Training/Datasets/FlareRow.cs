using System.Globalization;
using System.Text.Json;
using GemmaCore.Evaluation;
using GemmaCore.Inputs;

namespace GemmaCore.Training.Datasets;

/// <summary>Turns one object of a question file into an example; keys are found under all the names that are in use (flare.md §1.2).</summary>
internal sealed class FlareRow(string file, string dataset, Func<string, string?> findImage, PromptSet prompts, int maxImages)
{
    private static readonly string[] ImageKeys = ["ImageName", "image_name", "image", "image_path", "ImagePath", "file_name", "filename"];
    private static readonly string[] QuestionKeys = ["Question", "prompt"];
    private static readonly string[] AnswerKeys = ["Answer", "label", "target", "Report"];
    private static readonly string[] TaskKeys = ["TaskType", "task_type", "task"];
    private static readonly string[] OptionKeys = ["Choices", "Options"];
    private static readonly string[] QuestionIdKeys = ["qid", "QuestionID", "question_id"];
    private static readonly string[] CaseIdKeys = ["ID", "case_id", "CaseID"];

    private readonly string _stem = Path.GetFileNameWithoutExtension(file);

    /// <exception cref="DatasetException">The row cannot be used.</exception>
    /// <exception cref="InvalidOperationException">A string is not valid Unicode.</exception>
    public TrainingExample Read(JsonElement row, int index)
    {
        string taskText = Text(Find(row, TaskKeys));
        TaskType? task = taskText.Length == 0 ? null : TaskTypes.Parse(taskText) ?? throw new DatasetException($"TaskType '{taskText}' is unknown");
        string question = Text(Find(row, QuestionKeys)), modality = Text(Find(row, ["Modality"]));
        if (question.Length == 0 && task != TaskType.ReportGeneration) throw new DatasetException("there is no Question");
        IReadOnlyList<string> allNames = Names(Find(row, ImageKeys)), names = maxImages > 0 ? [.. allNames.Take(maxImages)] : allNames;
        List<ContentPart> parts =
        [
            .. names.Select(name => new ImagePart(ImageSource.FromFile(findImage(name) ?? throw new DatasetException($"image '{name}' not found")))),
            new TextPart(prompts.Text(new PromptQuestion(
                task, taskText.Contains("instance", StringComparison.OrdinalIgnoreCase), modality, question, Options(Find(row, OptionKeys)), names.Count))),
        ];

        List<ChatMessage> messages = prompts.System is { } system ? [ChatMessage.FromText(ChatRole.System, system)] : [];
        messages.Add(new ChatMessage(ChatRole.User, parts));
        return new TrainingExample(dataset, $"{file}: row {index}", messages, Find(row, AnswerKeys) is { } answer ? Target(answer) : null, task)
        {
            Uid = Uid(row, names, task, index),
            Modality = modality,
            Fields = Whole(row).EnumerateObject().GroupBy(field => field.Name).ToDictionary(group => group.Key, group => group.First().Value.GetRawText()),
        };
    }

    // Fields that nobody reads here are written back by predict, so their strings must be sound as well.
    private static JsonElement Whole(JsonElement row)
    {
        using var writer = new Utf8JsonWriter(Stream.Null);
        row.WriteTo(writer);
        return row;
    }

    // split:dataset:file:case:task:question, as the 2026 baseline names its rows (flare.md §3.4).
    private string Uid(JsonElement row, IReadOnlyList<string> names, TaskType? task, int index)
    {
        string caseId = Text(Find(row, CaseIdKeys)), questionId = Text(Find(row, QuestionIdKeys));
        if (caseId.Length == 0) caseId = names.Count > 0 ? Path.GetFileNameWithoutExtension(names[0]) : index.ToString(CultureInfo.InvariantCulture);
        char[] plain = [.. caseId.Select(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-' ? c : '_')];
        return string.Join(
            ':',
            FlareSplits.Name(Text(Find(row, ["Split"])), file),
            dataset,
            _stem,
            new string(plain),
            task?.Name() ?? "other",
            questionId.Length > 0 ? questionId : index.ToString(CultureInfo.InvariantCulture));
    }

    // "A) text B) text" from an object or from a list; a text is taken as it is.
    private static string Options(JsonElement? options) => options switch
    {
        { ValueKind: JsonValueKind.Object } map => string.Join(' ', map.EnumerateObject().Select(entry => $"{entry.Name}) {Text(entry.Value)}")),
        { ValueKind: JsonValueKind.Array } list => string.Join(' ', list.EnumerateArray().Select((item, index) => $"{(char)('A' + index % 26)}) {Text(item)}")),
        _ => Text(options),
    };

    // Lists are joined item by item, objects stay JSON, everything else is its text (flare.md §3.2).
    private static string Target(JsonElement answer)
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

    private static string Spaced(JsonElement item) => item.ValueKind == JsonValueKind.Array
        ? "[" + string.Join(", ", item.EnumerateArray().Select(part => part.GetRawText())) + "]"
        : item.GetRawText();

    // Exact spelling first, then without regard to case: real files mix both.
    private static JsonElement? Find(JsonElement row, string[] keys)
    {
        foreach (string key in keys)
            if (row.TryGetProperty(key, out JsonElement value)) return value.ValueKind == JsonValueKind.Null ? null : value;
        foreach (JsonProperty field in row.EnumerateObject())
            if (field.Value.ValueKind != JsonValueKind.Null && keys.Contains(field.Name, StringComparer.OrdinalIgnoreCase)) return field.Value;
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
            : throw new DatasetException($"ImageName must be a file name or a list of them, got {item.GetRawText()}"))];
    }
}
