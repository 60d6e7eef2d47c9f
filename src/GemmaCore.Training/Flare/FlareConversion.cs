using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Evaluation;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training.Flare;

/// <summary>What a conversion wrote.</summary>
/// <param name="Rows">Rows by file name.</param>
/// <param name="WithoutAnswer">Rows left out because they have no answer at all.</param>
/// <param name="Unpacked">Files taken out of archives.</param>
public sealed record ConversionResult(IReadOnlyDictionary<string, int> Rows, int WithoutAnswer, int Unpacked);

/// <summary>
/// FLARE folders to JSON lines, one file a split, with the fields and row names of the 2026 baseline (flare.md §3.4). The source is only read; archives are
/// unpacked below the output. <c>image</c> paths are relative to the output where they lie in it.
/// </summary>
/// <param name="root">FLARE folder.</param>
/// <param name="output">Folder to write.</param>
/// <param name="prompts">How questions are worded in <c>messages</c>.</param>
/// <param name="report">What happens with bad rows.</param>
/// <param name="allowMissingImages">Keep rows whose picture is not there.</param>
/// <param name="maxUnpackedBytes">Most bytes an archive may hold.</param>
public sealed class FlareConversion(string root, string output, PromptSet prompts, RowReport report, bool allowMissingImages, long maxUnpackedBytes)
{
    private static readonly JsonSerializerOptions Line = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly HashSet<string> _uids = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, List<string>> _lines = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, SortedDictionary<string, int>> _datasets = new(StringComparer.Ordinal);
    private int _withoutAnswer, _unpacked;

    /// <summary>Converts every split that is there.</summary>
    /// <exception cref="DatasetException">No split is there, a file is no list of questions, a bad row stops the run, or an archive is refused.</exception>
    public ConversionResult Run()
    {
        (string Split, string File)[] files = [.. FlareSplits.All.SelectMany(split => FlareFiles.Find(root, split).Select(file => (split, file)))];
        if (files.Length == 0) throw new DatasetException($"{root}: no question file found; expected {string.Join(", ", FlareSplits.All)} with <Category>/<dataset>/<dataset>_questions_*.json");
        foreach ((string split, string file) in files) Convert(split, file);
        foreach ((string name, List<string> lines) in _lines)
            AtomicFile.Write(Path.Combine(output, name + ".jsonl"), stream => stream.Write(Encoding.UTF8.GetBytes(string.Join('\n', lines) + "\n")));
        AtomicFile.WriteAllText(Path.Combine(output, "dataset_info.json"), Description().ToJsonString(new JsonSerializerOptions(Line) { WriteIndented = true }) + "\n");
        return new ConversionResult(_lines.ToDictionary(entry => entry.Key + ".jsonl", entry => entry.Value.Count), _withoutAnswer, _unpacked);
    }

    private void Convert(string split, string file)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(file))!, dataset = FlareFiles.DatasetOf(root, file);
        string unpacked = Path.Combine(output, "images", FlareSplits.Published(split), dataset);
        foreach (string archive in Directory.EnumerateFiles(folder, "*.zip").Order(StringComparer.Ordinal)) _unpacked += FlareArchive.Unpack(archive, unpacked, maxUnpackedBytes);
        var images = new FlareImages(folder, root, unpacked);
        // Messages are made by the reader that training uses, so that both say the same words.
        var reader = new FlareRow(file, dataset, name => images.Find(name) ?? (allowMissingImages ? name : null), prompts, maxImages: 0);
        using JsonDocument document = FlareDataset.Open(File.ReadAllBytes(file), file, out JsonElement questions);
        FlareDataset.ForEachRow(questions, file, report, (row, index) =>
        {
            TrainingExample example = reader.Read(row, index); // also says what is wrong with a row
            if (!_uids.Add(example.Uid)) throw new DatasetException($"another row has the same name, '{example.Uid}'; ids (ID, qid, question_id) must differ from row to row");
            Add(new FlareRecord(row, file, dataset, index), example);
        });
    }

    // Empty answers stay, so that files without answers are converted too; a missing or null one leaves the row out.
    private void Add(FlareRecord record, TrainingExample example)
    {
        if (record.Answer is not { } answer || example.Answer is not { } target)
        {
            _withoutAnswer++;
            return;
        }

        string[] images = [.. example.Prompt[^1].Content.OfType<Inputs.ImagePart>().Select(part => Shown(part.Image.Path!))];
        string task = record.Task?.Name() ?? "other";
        var row = new JsonObject
        {
            ["split"] = record.Split,
            ["source"] = record.Dataset,
            ["case_id"] = record.CaseId,
            ["uid"] = record.Uid,
            ["volume_path"] = images.FirstOrDefault(),
            ["image_path"] = images.FirstOrDefault(),
            ["image"] = images.FirstOrDefault(),
            ["images"] = new JsonArray([.. images.Select(image => (JsonNode)image)]),
            ["modality"] = record.Modality,
            ["task_type"] = task,
            ["metric"] = Metric(record.Task),
            ["subtask"] = record.TaskText,
            ["qid"] = record.QuestionId,
            ["follow_up"] = "",
            ["question_type"] = record.Field("QuestionType"),
            ["prompt"] = PromptSet.Preamble26(new PromptQuestion(record.Task, record.IsInstanceDetection, record.Modality, record.Question, record.OptionsLine(), images.Length)),
            ["question"] = record.Question,
            ["answer"] = target,
            ["choices"] = record.Options is { } options ? JsonNode.Parse(options.GetRawText()) : new JsonArray(),
            ["raw_answer"] = JsonNode.Parse(answer.GetRawText()),
            ["messages"] = Messages(example, images, target),
        };
        Count(record);
        if (!_lines.TryGetValue(record.Split, out List<string>? lines)) _lines.Add(record.Split, lines = []);
        lines.Add(row.ToJsonString(Line));
    }

    // What the baseline chooses a task's model by; reports it scores with a judge.
    private static string? Metric(TaskType? task) => task switch
    {
        null => null,
        TaskType.ReportGeneration => "green_score",
        { } known => ScoringRules.Flare26.For(known, false)?.PublishedMetric,
    };

    private static JsonArray Messages(TrainingExample example, string[] images, string target)
    {
        var messages = new JsonArray();
        foreach (Inputs.ChatMessage message in example.Prompt.SkipLast(1))
            messages.Add((JsonNode)new JsonObject { ["role"] = "system", ["content"] = string.Concat(message.Content.OfType<Inputs.TextPart>().Select(part => part.Text)) });
        var content = new JsonArray([.. images.Select(image => (JsonNode)new JsonObject { ["type"] = "image", ["image"] = image })]);
        content.Add((JsonNode)new JsonObject { ["type"] = "text", ["text"] = example.Prompt[^1].Content.OfType<Inputs.TextPart>().Single().Text });
        messages.Add((JsonNode)new JsonObject { ["role"] = "user", ["content"] = content });
        messages.Add((JsonNode)new JsonObject { ["role"] = "assistant", ["content"] = target });
        return messages;
    }

    private string Shown(string path)
    {
        string inside = Path.GetRelativePath(output, path);
        return inside.StartsWith("..", StringComparison.Ordinal) || Path.IsPathRooted(inside) ? path : inside;
    }

    private void Count(FlareRecord record)
    {
        if (!_datasets.TryGetValue(record.Split, out SortedDictionary<string, int>? sets)) _datasets.Add(record.Split, sets = new(StringComparer.Ordinal));
        sets[record.Dataset] = sets.GetValueOrDefault(record.Dataset) + 1;
    }

    private JsonObject Description() => new()
    {
        ["source"] = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(root))),
        ["prompts"] = prompts.Name,
        ["rows_without_answer"] = _withoutAnswer,
        ["splits"] = new JsonObject(_datasets.Select(split => KeyValuePair.Create(split.Key, (JsonNode?)new JsonObject
        {
            ["file"] = split.Key + ".jsonl",
            ["rows"] = split.Value.Values.Sum(),
            ["datasets"] = new JsonObject(split.Value.Select(set => KeyValuePair.Create(set.Key, (JsonNode?)set.Value))),
        }))),
    };
}
