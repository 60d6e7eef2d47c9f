namespace GemmaCore.Evaluation;

/// <summary>The six families of questions that FLARE scores (rules of 2026; instance detection counts as detection).</summary>
public enum TaskType
{
    /// <summary>One label or option letter.</summary>
    Classification,

    /// <summary>A set of labels.</summary>
    MultiLabelClassification,

    /// <summary>Boxes.</summary>
    Detection,

    /// <summary>A whole number.</summary>
    Counting,

    /// <summary>A number.</summary>
    Regression,

    /// <summary>Free text.</summary>
    ReportGeneration,
}

/// <summary>Reads the many spellings of task types found in FLARE files (flare.md §1.4).</summary>
public static class TaskTypes
{
    /// <summary>All canonical names, for messages.</summary>
    public static string Names => string.Join(", ", Enum.GetValues<TaskType>().Select(Name));

    /// <summary>The family a spelling means, or null: compared in lower case, with punctuation as blanks.</summary>
    public static TaskType? Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        char[] letters = [.. text.Trim().ToLowerInvariant().Select(c => c is '_' or '-' or '(' or ')' ? ' ' : c)];
        return string.Join(' ', new string(letters).Split(' ', StringSplitOptions.RemoveEmptyEntries)) switch
        {
            "classification" or "cls" or "disease diagnosis classification" or "disease diagnosis" => TaskType.Classification,
            "multi label classification" or "multilabel classification" or "multi label" or "multilabel" => TaskType.MultiLabelClassification,
            "detection" or "instance detection" => TaskType.Detection,
            "counting" or "cell counting" or "count" => TaskType.Counting,
            "regression" => TaskType.Regression,
            "report generation" or "report" => TaskType.ReportGeneration,
            _ => null,
        };
    }

    /// <summary>The canonical name used in reports, e.g. <c>cell_counting</c>.</summary>
    public static string Name(this TaskType task) => task switch
    {
        TaskType.Classification => "disease_diagnosis_classification",
        TaskType.MultiLabelClassification => "multi_label_classification",
        TaskType.Detection => "detection",
        TaskType.Counting => "cell_counting",
        TaskType.Regression => "regression",
        _ => "report_generation",
    };
}
