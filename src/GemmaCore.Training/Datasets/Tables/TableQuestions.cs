using System.Text.RegularExpressions;
using GemmaCore.Evaluation;
using GemmaCore.Inputs;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Datasets.Tables;

/// <summary>One question about pictures, before it is worded.</summary>
/// <param name="Where">File and line, and what else tells it from others of that line; for messages.</param>
/// <param name="Split">Split, part of the row's name.</param>
/// <param name="Case">Study or picture, part of the row's name.</param>
/// <param name="Question">What tells it from others of the case, part of the row's name.</param>
/// <param name="Task">Family of the question.</param>
/// <param name="Images">Paths of its pictures.</param>
/// <param name="Fields">What a question's blanks are filled with, by name.</param>
/// <param name="Answer">What the model is to say; null where it is not known.</param>
internal sealed record TableQuestion(
    string Where, string Split, string Case, string Question, TaskType? Task, IReadOnlyList<string> Images, IReadOnlyDictionary<string, string> Fields, string? Answer)
{
    public string Modality { get; init; } = "X-ray";

    public string Options { get; init; } = "";

    public string Patient { get; init; } = "";

    /// <summary>Labels that the question is about, of which the answer names those that apply.</summary>
    public IReadOnlyList<string> Labels { get; init; } = [];

    /// <summary>The question in its row's own words; null where the configuration words it.</summary>
    public string? Text { get; init; }
}

/// <summary>
/// Words the questions of data sets that are tables: a text for each task (<c>questions:</c> in a configuration, or the type's own), whose blanks such as
/// <c>{labels}</c> are filled from the row, inside the prompt set that the configuration chose.
/// </summary>
internal sealed partial class TableQuestions
{
    private readonly string _dataset, _file;
    private readonly DatasetConfiguration _configuration;
    private readonly PromptSet _prompts;
    private readonly Dictionary<TaskType, string> _texts;

    /// <param name="configuration">Prompt set, questions, pictures.</param>
    /// <param name="dataset">Name of the set in row names.</param>
    /// <param name="file">Table that the rows come from; its name is part of theirs.</param>
    /// <param name="usual">The type's own questions.</param>
    /// <param name="blanks">Names that a question may hold in braces.</param>
    /// <exception cref="DatasetException">A configured question is for no task of this type, or has a blank that nothing fills.</exception>
    public TableQuestions(
        DatasetConfiguration configuration, string dataset, string file, IReadOnlyDictionary<TaskType, string> usual, IReadOnlyCollection<string> blanks)
    {
        (_configuration, _dataset) = (configuration, dataset);
        _file = Path.GetFileName(file).Split('.')[0];
        _prompts = PromptSet.Of(configuration.Prompts, configuration.ForAnswers).With(configuration.PromptOverrides);
        _texts = new Dictionary<TaskType, string>(usual);
        foreach ((string key, string text) in configuration.Questions)
        {
            TaskType? task = TaskTypes.Parse(key);
            if (task is null || (usual.Count > 0 && !usual.ContainsKey(task.Value)))
            {
                IEnumerable<string> expected = (usual.Count > 0 ? usual.Keys : Enum.GetValues<TaskType>()).Select(known => known.Name());
                throw new DatasetException($"dataset.questions: '{key}' is no task of {dataset}; expected {string.Join(", ", expected)}");
            }

            foreach (string blank in Blanks(text).Where(blank => !blanks.Contains(blank, StringComparer.OrdinalIgnoreCase)))
                throw new DatasetException($"dataset.questions: {key}: nothing fills {{{blank}}}; did you mean {{{Spelling.Nearest(blank, blanks)}}}? (there are {string.Join(", ", blanks)})");
            _texts[task.Value] = text;
        }
    }

    /// <summary>True where a task's question names that blank.</summary>
    public bool Asks(TaskType task, string blank) => _texts.TryGetValue(task, out string? text) && Blanks(text).Contains(blank, StringComparer.OrdinalIgnoreCase);

    /// <summary>True where a task has a question that rows need not bring.</summary>
    public bool Has(TaskType task) => _texts.ContainsKey(task);

    /// <summary>The example; its pictures are in front of the question.</summary>
    public TrainingExample Word(TableQuestion row)
    {
        string text = row.Text ?? (row.Task is { } known && _texts.TryGetValue(known, out string? own) ? Blank().Replace(own, match => row.Fields[match.Groups[1].Value]) : "");
        string[] images = [.. _configuration.MaxImagesPerSample > 0 ? row.Images.Take(_configuration.MaxImagesPerSample) : row.Images];
        List<ContentPart> parts = [.. images.Select(path => new ImagePart(ImageSource.FromFile(path)))];
        parts.Add(new TextPart(_prompts.Text(new PromptQuestion(row.Task, false, row.Modality, text, row.Options, images.Length))));
        List<ChatMessage> messages = _prompts.System is { } system ? [ChatMessage.FromText(ChatRole.System, system)] : [];
        messages.Add(new ChatMessage(ChatRole.User, parts));
        return new TrainingExample(_dataset, row.Where, messages, row.Answer, row.Task)
        {
            Uid = string.Join(':', new[] { row.Split, _dataset, _file, row.Case, row.Task?.Name() ?? "other", row.Question }.Select(part => part.Replace(':', '_'))),
            Modality = row.Modality,
            Patient = row.Patient,
            Labels = row.Labels,
        };
    }

    private static IEnumerable<string> Blanks(string text) => Blank().Matches(text).Select(match => match.Groups[1].Value);

    // A name in braces; JSON in a question, whose braces hold quotes, is not touched.
    [GeneratedRegex(@"\{([\p{L}_][^{}:""']*)\}")]
    private static partial Regex Blank();
}
