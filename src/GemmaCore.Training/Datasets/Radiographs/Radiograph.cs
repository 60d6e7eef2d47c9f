using GemmaCore.Evaluation;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets.Tables;

namespace GemmaCore.Training.Datasets.Radiographs;

/// <summary>What the three public sets of chest X-rays have in common: which tasks and views are wanted, and how questions are put where nobody says otherwise.</summary>
internal static class Radiograph
{
    public const string LabelQuestion = "Which of these findings does this chest X-ray show: {labels}? Answer with their names, separated by semicolons, or with No Finding.";

    /// <summary>The tasks that a configuration asks for; all that a set has where it names none.</summary>
    /// <exception cref="DatasetException">One is no task of this set.</exception>
    public static IReadOnlyList<TaskType> Tasks(DatasetConfiguration configuration, params TaskType[] known)
    {
        if (configuration.Tasks.Count == 0) return known;
        return [.. configuration.Tasks.Select(name => TaskTypes.Parse(name) is { } task && known.Contains(task) ? task : throw new DatasetException(
            $"dataset.tasks: '{name}' is no task of {configuration.Type}; expected {string.Join(", ", known.Select(one => one.Name()))}"))];
    }

    /// <summary>The file's split, or an error that lists the splits there are.</summary>
    public static string Split(DatasetConfiguration configuration, string split, params string[] known)
    {
        if (known.Contains(split)) return split;
        throw new DatasetException(split.Length == 0
            ? $"{configuration.Path}: which split? Give one of {string.Join(", ", known)}"
            : $"{configuration.Path}: {configuration.Type} has no split '{split}'; expected {string.Join(", ", known)}");
    }

    /// <summary>
    /// Where a view stands among those wanted (0 first), or -1 where it is not wanted. <c>all</c> takes every view, <c>frontal</c> PA and AP.
    /// </summary>
    public static int Rank(DatasetConfiguration configuration, string view)
    {
        IReadOnlyList<string> wanted = configuration.Views;
        if (wanted is [] or ["all"]) return 0;
        if (wanted is ["frontal"]) wanted = ["PA", "AP", "Frontal"];
        for (int i = 0; i < wanted.Count; i++)
            if (string.Equals(wanted[i], view, StringComparison.OrdinalIgnoreCase)) return i;
        return -1;
    }

    /// <summary>Makes sure that <c>uncertainty: ignore</c> can work: what is left out of the question must have been in it.</summary>
    /// <exception cref="DatasetException">The configured question does not list labels.</exception>
    public static void RequireLabels(DatasetConfiguration configuration, TableQuestions questions)
    {
        if (configuration.Uncertainty == "ignore" && !questions.Asks(TaskType.MultiLabelClassification, "labels"))
            throw new DatasetException("dataset.uncertainty: ignore leaves uncertain labels out of the question, so the question must list them: put {labels} into it");
    }

    /// <summary>Names that a question's blanks are filled with.</summary>
    public static Dictionary<string, string> Fields(params (string Name, string Value)[] fields) =>
        fields.ToDictionary(field => field.Name, field => field.Value, StringComparer.OrdinalIgnoreCase);
}
