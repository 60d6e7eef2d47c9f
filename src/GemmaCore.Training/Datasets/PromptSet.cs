using GemmaCore.Evaluation;

namespace GemmaCore.Training.Datasets;

/// <summary>
/// How a FLARE question becomes a prompt. The strings are those of the published baselines, byte for byte: an adapter answers best to the words it
/// was trained with (flare.md §2).
/// </summary>
/// <param name="Name">How a configuration names the set.</param>
/// <param name="System">System text; null for none.</param>
/// <param name="Text">User text from task, modality and question.</param>
public sealed record PromptSet(string Name, string? System, Func<TaskType?, string, string, string> Text)
{
    /// <summary>The bare question.</summary>
    public static PromptSet Question { get; } = new("question", null, (_, _, question) => question);

    /// <summary>The 2025 baseline: one instruction, then the question.</summary>
    public static PromptSet Flare25 { get; } = new(
        "flare25",
        "You are an expert medical AI assistant specialized in analyzing medical images and providing accurate diagnostic insights.",
        (task, _, question) => $"{Instruction25(task)}\n\n{question}");

    /// <summary>The 2026 baseline: the training instruction, the conversion's instruction, then the question.</summary>
    public static PromptSet Flare26 { get; } = new(
        "flare26",
        "You are an expert medical imaging assistant.",
        (task, modality, question) => $"{Instruction26(task)}\n\n{Preamble26(task, modality, question)}");

    /// <summary>The set of that name.</summary>
    /// <exception cref="DatasetException">There is none.</exception>
    public static PromptSet Of(string name) => name switch
    {
        "question" => Question,
        "flare25" => Flare25,
        "flare26" => Flare26,
        _ => throw new DatasetException($"prompt set '{name}' is unknown; expected question, flare25 or flare26"),
    };

    private static string Instruction25(TaskType? task) => task switch
    {
        TaskType.Classification => "Look at the image carefully and classify what you see. Provide a clear, specific answer.",
        TaskType.MultiLabelClassification => "Examine the image and identify all relevant labels or categories that apply. List them clearly.",
        TaskType.Detection => "Examine the image and detect the specified objects or features. Be precise in your response.",
        TaskType.Counting => "Count the specified objects or features in the image. Provide an accurate numerical answer.",
        TaskType.Regression => "Analyze the image and provide a quantitative assessment. Give your answer with appropriate precision.",
        TaskType.ReportGeneration => "Examine the medical image thoroughly and generate a comprehensive report describing your findings.",
        _ => "Look at the image and answer the question accurately based on what you observe.",
    };

    private static string Instruction26(TaskType? task) => task switch
    {
        TaskType.Classification => "You are given a medical image. Answer the classification question using only the provided image. If options are provided, "
            + "return only the correct option text or class label.",
        TaskType.MultiLabelClassification => "You are given a medical image. Identify all applicable findings or labels. Return labels separated by semicolons. "
            + "Return an empty string if none apply.",
        TaskType.ReportGeneration => "You are given a medical image. Generate a concise radiology-style report with relevant findings and impression.",
        TaskType.Detection => "You are given a medical image. Return detections exactly in the coordinate format requested by the question.",
        TaskType.Counting => "You are given a medical image. Return only the integer count requested.",
        TaskType.Regression => "You are given a medical image. Return only the requested numeric measurement.",
        _ => "Answer the medical imaging question using the provided image.",
    };

    private static string Preamble26(TaskType? task, string modality, string question)
    {
        string preamble = task switch
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
        return question.Length == 0 && task == TaskType.ReportGeneration ? preamble : $"{preamble}\nQuestion: {question}";
    }
}
