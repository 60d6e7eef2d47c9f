using System.Text.Json;
using GemmaCore.Evaluation;
using GemmaCore.Inputs;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training.Flare;

/// <summary>Reads one question file for the report and lists everything that is wrong with it.</summary>
internal sealed class FlareReading(string root, string split, string file, List<DataFault> faults, PictureCheck pictures, PromptEncoder? prompts, PromptSet wording)
{
    private readonly string _dataset = FlareFiles.DatasetOf(root, file);
    private readonly FlareImages _images = new(Path.GetDirectoryName(Path.GetFullPath(file))!, root);
    private readonly SortedDictionary<string, int> _tasks = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _classes = new(StringComparer.Ordinal);
    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
    private readonly HashSet<string> _uids = new(StringComparer.Ordinal);
    private readonly List<(string Where, double Number)> _numbers = [];
    private readonly List<int> _lengths = [];
    private (string? Path, string Question, string Answer) _sample = (null, "", "");
    private int _rows, _answered;
    private int? _pictureTokens;

    public DatasetSummary Summary()
    {
        ReadFile();
        foreach ((string where, string detail) in OddAnswer.FarFromTheRest(_numbers)) faults.Add(new DataFault("odd answer", where, detail));
        _lengths.Sort();
        return new DatasetSummary(
            split, _dataset, _rows, _answered, _tasks, [.. _classes.OrderByDescending(entry => entry.Value).ThenBy(entry => entry.Key, StringComparer.Ordinal)], _seen.Count,
            _lengths.Count > 0 ? (_lengths[0], _lengths[_lengths.Count / 2], _lengths[^1]) : null, _sample.Path, _sample.Question, _sample.Answer);
    }

    private void ReadFile()
    {
        try
        {
            using JsonDocument document = FlareDataset.Open(FlareFiles.ReadAllBytes(file), file, out JsonElement questions);
            int index = -1;
            foreach (JsonElement row in questions.EnumerateArray())
            {
                index++;
                if (row.ValueKind != JsonValueKind.Object) continue;
                _rows++;
                Read(row, index, $"{Path.GetRelativePath(root, file)}: row {index}");
            }
        }
        catch (DatasetException error)
        {
            faults.Add(new DataFault("bad file", Path.GetRelativePath(root, file), error.Message));
        }
    }

    private void Read(JsonElement row, int index, string where)
    {
        try
        {
            var record = new FlareRecord(row, file, _dataset, index);
            string task = record.Task?.Name() ?? "no task", answer = record.Answer is { } value ? FlareRecord.Target(value) : "";
            _tasks[task] = _tasks.GetValueOrDefault(task) + 1;
            if (!_uids.Add(record.Uid)) faults.Add(new DataFault("row named twice", where, record.Uid));
            List<string> found = Pictures(record, where);
            if (answer.Length > 0) Answer(record, answer, where);
            if (_sample.Path is null && found.Count > 0) _sample = (found[0], record.Question, answer);
            if (prompts is not null && found.Count == record.ImageNames.Count) _lengths.Add(Length(record, answer, found));
        }
        catch (Exception error) when (error is FormatException or InvalidOperationException)
        {
            // Strings are decoded when they are asked for.
            faults.Add(new DataFault("bad row", where, error is FormatException ? error.Message : "a string is not valid Unicode"));
        }
    }

    private List<string> Pictures(FlareRecord record, string where)
    {
        var found = new List<string>();
        foreach (string name in record.ImageNames)
        {
            if (_images.Find(name) is not { } path)
            {
                faults.Add(new DataFault("missing image", where, name));
                continue;
            }

            _seen.Add(path);
            if (pictures.Look(path, split, _dataset, where)) found.Add(path);
        }

        return found;
    }

    private void Answer(FlareRecord record, string answer, string where)
    {
        _answered++;
        if (OddAnswer.Complaint(record, answer) is { } complaint) faults.Add(new DataFault("odd answer", where, complaint));
        if (record.Task == TaskType.Regression && AnswerText.Number(answer) is { } number) _numbers.Add((where, number));
        IEnumerable<string> classes = record.Task switch
        {
            TaskType.Classification => [answer.Trim()],
            TaskType.MultiLabelClassification => AnswerText.Labels(answer),
            _ => [],
        };
        foreach (string label in classes) _classes[label] = _classes.GetValueOrDefault(label) + 1;
    }

    // As training counts it: the prompt through the template, then the answer. What a picture adds is found out once, on the first that is there.
    private int Length(FlareRecord record, string answer, List<string> found)
    {
        string text = wording.Text(new PromptQuestion(record.Task, record.IsInstanceDetection, record.Modality, record.Question, record.OptionsLine(), found.Count));
        int Prompt(params ContentPart[] content)
        {
            List<ChatMessage> messages = wording.System is { } system ? [ChatMessage.FromText(ChatRole.System, system)] : [];
            messages.Add(new ChatMessage(ChatRole.User, content));
            return prompts!.Encode(messages, addGenerationPrompt: true).Ids.Length;
        }

        int plain = Prompt(new TextPart(text));
        if (found.Count > 0 && prompts!.TakesImages) _pictureTokens ??= Prompt(new ImagePart(ImageSource.FromFile(found[0])), new TextPart(text)) - plain;
        return plain + prompts!.EncodeAnswer(answer).Length + found.Count * (_pictureTokens ?? 0);
    }
}
