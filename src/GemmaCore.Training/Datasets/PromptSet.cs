using GemmaCore.Evaluation;

namespace GemmaCore.Training.Datasets;

/// <summary>What a prompt is made of.</summary>
/// <param name="Task">Family of the question; null where the row has none.</param>
/// <param name="IsInstanceDetection">True for the kind of detection that the 2025 baseline words differently.</param>
/// <param name="Modality">The row's modality, as spelt there.</param>
/// <param name="Question">The question.</param>
/// <param name="Options">Choices of the row, as one line; empty where it has none.</param>
/// <param name="ImageCount">Pictures shown.</param>
public readonly record struct PromptQuestion(TaskType? Task, bool IsInstanceDetection, string Modality, string Question, string Options, int ImageCount);

/// <summary>
/// How a FLARE question becomes a prompt. The strings are those of the published baselines, byte for byte: an adapter answers best to the words it
/// was trained with (flare.md §2).
/// </summary>
/// <param name="Name">How a configuration names the set.</param>
/// <param name="System">System text; null for none.</param>
/// <param name="Text">User text of a question.</param>
public sealed record PromptSet(string Name, string? System, Func<PromptQuestion, string> Text)
{
    private const string SystemEntry = "system", OtherEntry = "other", QuestionMark = "{question}";

    /// <summary>The bare question.</summary>
    public static PromptSet Question { get; } = new("question", null, prompt => prompt.Question);

    /// <summary>The 2025 baseline: one instruction, then the question.</summary>
    public static PromptSet Flare25 { get; } = new(
        "flare25",
        "You are an expert medical AI assistant specialized in analyzing medical images and providing accurate diagnostic insights.",
        prompt => $"{Instruction25(prompt)}\n\n{prompt.Question}");

    /// <summary>The 2026 baseline: the training instruction, the conversion's instruction, then the question.</summary>
    public static PromptSet Flare26 { get; } = new(
        "flare26",
        "You are an expert medical imaging assistant.",
        prompt => $"{Instruction26(prompt.Task, option: "text")}\n\n{Preamble26(prompt)}");

    // When it asks for answers the baseline wants the option's letter, where it trains on "text" (flare.md §2.2).
    private static readonly PromptSet Flare26Answers = Flare26 with { Text = prompt => $"{Instruction26(prompt.Task, option: "letter")}\n\n{Preamble26(prompt)}" };

    /// <summary>The set of that name.</summary>
    /// <param name="name">question, flare25 or flare26.</param>
    /// <param name="answers">True where a model is asked, false where it is trained; the words of flare26 differ.</param>
    /// <exception cref="DatasetException">There is none.</exception>
    public static PromptSet Of(string name, bool answers = false) => name switch
    {
        "question" => Question,
        "flare25" => Flare25,
        "flare26" => answers ? Flare26Answers : Flare26,
        _ => throw new DatasetException($"prompt set '{name}' is unknown; expected question, flare25 or flare26"),
    };

    /// <summary>
    /// This set with some texts replaced: <c>system</c>, <c>other</c>, or a task type. <c>{question}</c> and <c>{modality}</c> are filled in; a text
    /// without <c>{question}</c> stands before it.
    /// </summary>
    /// <exception cref="DatasetException">A key names no task type.</exception>
    public PromptSet With(IReadOnlyDictionary<string, string> texts)
    {
        ArgumentNullException.ThrowIfNull(texts);
        if (texts.Count == 0) return this;
        string? system = System, other = null;
        var byTask = new Dictionary<TaskType, string>();
        foreach ((string key, string text) in texts)
        {
            if (key == SystemEntry) system = text.Length > 0 ? text : null;
            else if (key == OtherEntry) other = text;
            else byTask[TaskTypes.Parse(key) ?? throw UnknownEntry(key)] = text;
        }

        return new PromptSet(Name, system, prompt =>
        {
            string? text = prompt.Task is { } task ? byTask.GetValueOrDefault(task) : other;
            if (text is null) return Text(prompt);
            if (!text.Contains(QuestionMark, StringComparison.Ordinal)) text += "\n\n" + QuestionMark;
            return text.Replace("{modality}", prompt.Modality, StringComparison.Ordinal).Replace(QuestionMark, prompt.Question, StringComparison.Ordinal);
        });
    }

    private static DatasetException UnknownEntry(string key) => new(
        $"prompt_overrides: '{key}' is unknown; expected system, other or one of {string.Join(", ", Enum.GetValues<TaskType>().Select(task => task.Name()))}");

    private static string Instruction25(PromptQuestion prompt)
    {
        string text = prompt.Task switch
        {
            TaskType.Classification => "Look at the image carefully and classify what you see. Provide a clear, specific answer.",
            TaskType.MultiLabelClassification => "Examine the image and identify all relevant labels or categories that apply. List them clearly.",
            TaskType.Detection when prompt.IsInstanceDetection =>
                "Look at the image and identify specific instances of the target objects. Provide precise detection results.",
            TaskType.Detection => "Examine the image and detect the specified objects or features. Be precise in your response.",
            TaskType.Counting => "Count the specified objects or features in the image. Provide an accurate numerical answer.",
            TaskType.Regression => "Analyze the image and provide a quantitative assessment. Give your answer with appropriate precision.",
            TaskType.ReportGeneration => "Examine the medical image thoroughly and generate a comprehensive report describing your findings.",
            _ => "Look at the image and answer the question accurately based on what you observe.",
        };
        return prompt.ImageCount > 1 ? text.Replace("the image", "the images", StringComparison.Ordinal) : text;
    }

    private static string Instruction26(TaskType? task, string option) => task switch
    {
        TaskType.Classification => "You are given a medical image. Answer the classification question using only the provided image. If options are provided, "
            + $"return only the correct option {option} or class label.",
        TaskType.MultiLabelClassification => "You are given a medical image. Identify all applicable findings or labels. Return labels separated by semicolons. "
            + "Return an empty string if none apply.",
        TaskType.ReportGeneration => "You are given a medical image. Generate a concise radiology-style report with relevant findings and impression.",
        TaskType.Detection => "You are given a medical image. Return detections exactly in the coordinate format requested by the question.",
        TaskType.Counting => "You are given a medical image. Return only the integer count requested.",
        TaskType.Regression => "You are given a medical image. Return only the requested numeric measurement.",
        _ => "Answer the medical imaging question using the provided image.",
    };

    /// <summary>What the 2026 baseline's conversion makes of a question, before training adds its own instruction.</summary>
    internal static string Preamble26(PromptQuestion prompt)
    {
        string question = prompt.Options.Length > 0 ? $"{prompt.Question}\nOptions: {prompt.Options}" : prompt.Question;
        string modality = prompt.Modality.Length > 0 ? prompt.Modality : "medical image";
        string preamble = prompt.Task switch
        {
            TaskType.Classification => $"Answer the medical image classification question for this {modality} image. For multiple-choice questions, "
                + "return the selected option letter or text exactly as annotated.",
            TaskType.MultiLabelClassification => $"Identify all applicable findings or labels in this {modality} image. Select all that apply.",
            TaskType.Detection => "Identify and locate the requested findings. Return bounding boxes exactly in the coordinate format requested by the question.",
            TaskType.Counting => "Return only the numeric count requested for this image.",
            TaskType.Regression => "Return only the requested numeric value, preserving units if present.",
            TaskType.ReportGeneration => $"Generate a concise diagnostic report for this {modality} image.",
            _ => "",
        };
        if (preamble.Length == 0) return question;
        return question.Length == 0 && prompt.Task == TaskType.ReportGeneration ? preamble : $"{preamble}\nQuestion: {question}";
    }
}
