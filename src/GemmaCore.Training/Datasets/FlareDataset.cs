using System.Text.Json;
using GemmaCore.Evaluation;
using GemmaCore.Inputs;

namespace GemmaCore.Training.Datasets;

/// <summary>A FLARE folder: splits, categories, data sets, one question file each (layout and tolerance: flare.md §1).</summary>
public static class FlareDataset
{
    private static readonly string[] ImageKeys = ["ImageName", "image_name", "image", "image_path", "ImagePath", "file_name", "filename"];
    private static readonly string[] QuestionKeys = ["Question", "prompt"];
    private static readonly string[] AnswerKeys = ["Answer", "label", "target", "Report"];
    private static readonly string[] TaskKeys = ["TaskType", "task_type", "task"];
    private static readonly string[] ListKeys = ["questions", "data", "annotations", "items"];

    /// <summary>Reads the rows of one split.</summary>
    /// <param name="root">The folder that holds <c>training</c>, <c>validation-public</c>, …; or one question file.</param>
    /// <param name="split">Folder of the split; ignored when <paramref name="root"/> is a file.</param>
    /// <param name="datasets">Names of the sets to read; empty for all.</param>
    /// <param name="prompts">How questions become prompts.</param>
    /// <param name="report">What happens with bad rows.</param>
    /// <exception cref="DatasetException">Nothing is there, or a bad row stops the run.</exception>
    public static IReadOnlyList<TrainingExample> Read(
        string root, string split, IReadOnlyCollection<string> datasets, PromptSet prompts, RowReport report)
    {
        ArgumentNullException.ThrowIfNull(datasets);
        var examples = new List<TrainingExample>();
        foreach (string file in QuestionFiles(root, split))
        {
            string dataset = File.Exists(root) ? Path.GetFileNameWithoutExtension(file) : Path.GetFileName(Path.GetDirectoryName(file)!);
            if (datasets.Count > 0 && !datasets.Contains(dataset)) continue;
            examples.AddRange(ReadFile(file, dataset, prompts, report));
        }

        if (examples.Count > 0) return examples;
        string wanted = datasets.Count > 0 ? $" of {string.Join(", ", datasets)}" : "";
        throw new DatasetException($"{root}: no rows{wanted} found in split '{split}'; expected {split}/<Category>/<dataset>/<dataset>_questions_*.json");
    }

    /// <summary>Reads the rows of a question file that is already in memory.</summary>
    /// <param name="json">The file.</param>
    /// <param name="file">Name for messages.</param>
    /// <param name="dataset">Name of the set.</param>
    /// <param name="findImage">From an image name in a row to a path; null when there is no such picture.</param>
    /// <param name="prompts">How questions become prompts.</param>
    /// <param name="report">What happens with bad rows.</param>
    public static IReadOnlyList<TrainingExample> Parse(
        ReadOnlyMemory<byte> json, string file, string dataset, Func<string, string?> findImage, PromptSet prompts, RowReport report)
    {
        ArgumentNullException.ThrowIfNull(findImage);
        ArgumentNullException.ThrowIfNull(prompts);
        ArgumentNullException.ThrowIfNull(report);
        using JsonDocument document = Open(json, file);
        JsonElement list = document.RootElement;
        if (list.ValueKind == JsonValueKind.Object)
            list = ListKeys.Select(key => Find(document.RootElement, [key])).FirstOrDefault(item => item?.ValueKind == JsonValueKind.Array) ?? list;
        if (list.ValueKind != JsonValueKind.Array) throw new DatasetException($"{file}: expected a JSON array of questions");
        var examples = new List<TrainingExample>();
        int index = -1;
        foreach (JsonElement row in list.EnumerateArray())
        {
            index++;
            if (row.ValueKind != JsonValueKind.Object) continue;
            try
            {
                examples.Add(ReadRow(row, $"{file}: row {index}", dataset, findImage, prompts));
            }
            catch (DatasetException error)
            {
                report.Add($"{file}: row {index}", error.Message);
            }
        }

        return examples;
    }

    private static IEnumerable<string> QuestionFiles(string root, string split)
    {
        if (File.Exists(root)) return [root];
        string folder = Path.Combine(root, split);
        if (!Directory.Exists(folder)) throw new DatasetException($"{folder}: not found; expected a FLARE split folder such as training or validation-public");
        return Directory.EnumerateFiles(folder, "*.json", SearchOption.AllDirectories)
            .Where(file => !Path.GetFileName(file).StartsWith('.') && Path.GetFileName(file) != "predictions.json" && !file.Contains("/.cache/", StringComparison.Ordinal))
            .Where(file => !file.EndsWith("_withGT.json", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal);
    }

    private static IReadOnlyList<TrainingExample> ReadFile(string file, string dataset, PromptSet prompts, RowReport report)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
        var byName = new Lazy<ILookup<string, string>>(() =>
            Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).ToLookup(path => Path.GetFileName(path), StringComparer.Ordinal));
        string? FindImage(string name)
        {
            string direct = Path.GetFullPath(Path.Combine(folder, name));
            if (File.Exists(direct)) return direct;
            return byName.Value[Path.GetFileName(name)].Order(StringComparer.Ordinal).FirstOrDefault();
        }

        return Parse(File.ReadAllBytes(file), file, dataset, FindImage, prompts, report);
    }

    private static JsonDocument Open(ReadOnlyMemory<byte> json, string file)
    {
        try
        {
            return JsonDocument.Parse(json);
        }
        catch (JsonException error)
        {
            throw new DatasetException($"{file}: not valid JSON: {error.Message}");
        }
    }

    private static TrainingExample ReadRow(JsonElement row, string where, string dataset, Func<string, string?> findImage, PromptSet prompts)
    {
        string taskText = Text(Find(row, TaskKeys));
        TaskType? task = taskText.Length == 0 ? null : TaskTypes.Parse(taskText) ?? throw new DatasetException($"TaskType '{taskText}' is unknown");
        string question = Text(Find(row, QuestionKeys)), modality = Text(Find(row, ["Modality"]));
        if (question.Length == 0 && task != TaskType.ReportGeneration) throw new DatasetException("there is no Question");
        var parts = new List<ContentPart>();
        foreach (string name in Names(Find(row, ImageKeys)))
            parts.Add(new ImagePart(ImageSource.FromFile(findImage(name) ?? throw new DatasetException($"image '{name}' not found"))));
        parts.Add(new TextPart(prompts.Text(task, modality, question)));

        var messages = new List<ChatMessage>();
        if (prompts.System is { } system) messages.Add(ChatMessage.FromText(ChatRole.System, system));
        messages.Add(new ChatMessage(ChatRole.User, parts));
        JsonElement? answer = Find(row, AnswerKeys);
        return new TrainingExample(dataset, where, messages, answer is { } value ? Target(value) : null, task)
        {
            Fields = row.EnumerateObject().GroupBy(field => field.Name).ToDictionary(group => group.Key, group => group.First().Value.GetRawText()),
        };
    }

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

        if (value.ValueKind != JsonValueKind.Array) return value.ValueKind == JsonValueKind.Null ? "" : value.GetRawText();
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

    private static IEnumerable<string> Names(JsonElement? value)
    {
        if (value is not { } names) return [];
        IEnumerable<JsonElement> items = names.ValueKind == JsonValueKind.Array ? names.EnumerateArray() : [names];
        return [.. items.Select(item => item.ValueKind == JsonValueKind.String && item.GetString()!.Length > 0
            ? item.GetString()!
            : throw new DatasetException($"ImageName must be a file name or a list of them, got {item.GetRawText()}"))];
    }
}
