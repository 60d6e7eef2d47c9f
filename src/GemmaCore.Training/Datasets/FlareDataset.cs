using System.Text.Json;
using GemmaCore.Evaluation;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Datasets;

/// <summary>A FLARE folder: splits, categories, data sets, one question file each (layout and tolerance: flare.md §1).</summary>
public static class FlareDataset
{
    /// <summary>Reads the rows of one split.</summary>
    /// <param name="root">The folder that holds <c>training</c>, <c>validation-public</c>, …; or one question file.</param>
    /// <param name="split">Folder of the split; ignored when <paramref name="root"/> is a file.</param>
    /// <param name="tasks">Names of data sets or task types to read; empty for all.</param>
    /// <param name="prompts">How questions become prompts.</param>
    /// <param name="report">What happens with bad rows.</param>
    /// <param name="maxImages">Most pictures of a row to use; 0 for all.</param>
    /// <exception cref="DatasetException">Nothing is there, or a bad row stops the run.</exception>
    public static IReadOnlyList<TrainingExample> Read(
        string root, string split, IReadOnlyCollection<string> tasks, PromptSet prompts, RowReport report, int maxImages = 0)
    {
        ArgumentNullException.ThrowIfNull(tasks);
        var sets = new List<(string Dataset, Func<IReadOnlyList<TrainingExample>> Rows)>();
        foreach (string file in QuestionFiles(root, split))
        {
            // Converted rows of all data sets stand in one file and say themselves where they belong; a question file is only read when it is wanted.
            if (FlareFiles.IsConverted(file)) sets.AddRange(ReadFile(root, file, prompts, report, maxImages).GroupBy(row => row.Dataset).Select(set => (set.Key, Rows: (Func<IReadOnlyList<TrainingExample>>)(() => [.. set]))));
            else sets.Add((FlareFiles.DatasetOf(root, file), () => ReadFile(root, file, prompts, report, maxImages)));
        }

        HashSet<TaskType> types = [];
        foreach (string task in tasks)
        {
            if (sets.Any(item => item.Dataset == task)) continue;
            string nearest = Spelling.Nearest(task, sets.Select(item => item.Dataset));
            types.Add(TaskTypes.Parse(task) ?? throw new DatasetException(
                $"{root}: tasks: '{task}' is neither a data set of split '{split}' nor a task type{(nearest.Length > 0 ? $"; did you mean {nearest}?" : "")}"));
        }

        var examples = new List<TrainingExample>();
        foreach ((string dataset, Func<IReadOnlyList<TrainingExample>> rows) in sets)
        {
            bool whole = tasks.Count == 0 || tasks.Contains(dataset);
            if (!whole && types.Count == 0) continue;
            examples.AddRange(rows().Where(row => whole || (row.Task is { } task && types.Contains(task))));
        }

        if (examples.Count > 0) return examples;
        string wanted = tasks.Count > 0 ? $" of {string.Join(", ", tasks)}" : "";
        throw new DatasetException($"{root}: no rows{wanted} found in split '{split}'; expected {split}/<Category>/<dataset>/<dataset>_questions_*.json");
    }

    /// <summary>Reads the rows of a question file that is already in memory.</summary>
    /// <param name="json">The file.</param>
    /// <param name="file">Name for messages.</param>
    /// <param name="dataset">Name of the set.</param>
    /// <param name="findImage">From an image name in a row to a path; null when there is no such picture.</param>
    /// <param name="prompts">How questions become prompts.</param>
    /// <param name="report">What happens with bad rows.</param>
    /// <param name="maxImages">Most pictures of a row to use; 0 for all.</param>
    /// <exception cref="DatasetException">The file is no list of questions, or a bad row stops the run.</exception>
    public static IReadOnlyList<TrainingExample> Parse(
        ReadOnlyMemory<byte> json, string file, string dataset, Func<string, string?> findImage, PromptSet prompts, RowReport report, int maxImages = 0)
    {
        ArgumentNullException.ThrowIfNull(report);
        using JsonDocument document = Open(json, file, out JsonElement questions);
        var reader = new FlareRow(file, dataset, findImage, prompts, maxImages);
        var examples = new List<TrainingExample>();
        ForEachRow(questions, file, report, (row, index) => examples.Add(reader.Read(row, index)));
        return examples;
    }

    /// <summary>Does something with every row of a question file; rows that cannot be read go into the report, and what is no object is no row.</summary>
    internal static void ForEachRow(JsonElement questions, string file, RowReport report, Action<JsonElement, int> read)
    {
        int index = -1;
        foreach (JsonElement row in questions.EnumerateArray())
        {
            index++;
            if (row.ValueKind != JsonValueKind.Object) continue;
            try
            {
                read(row, index);
            }
            catch (DatasetException error)
            {
                report.Add($"{file}: row {index}", error.Message);
            }
            catch (InvalidOperationException)
            {
                // Strings are decoded when they are asked for.
                report.Add($"{file}: row {index}", "a string is not valid Unicode");
            }
        }
    }

    private static IReadOnlyList<string> QuestionFiles(string root, string split) => FlareFiles.Find(root, split) is { Count: > 0 } files
        ? files
        : FlareSplits.Folder(root, split) is not null ? [] : throw new DatasetException(
            $"{Path.Combine(root, split)}: not found; expected a FLARE split folder such as training or validation-public");

    private static IReadOnlyList<TrainingExample> ReadFile(string root, string file, PromptSet prompts, RowReport report, int maxImages)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
        var images = new FlareImages(folder, Directory.Exists(root) ? root : null);
        string? FindImage(string name)
        {
            if (images.Find(name) is { } found) return found;
            string? archive = Directory.EnumerateFiles(folder, "*.zip").Order(StringComparer.Ordinal).FirstOrDefault();
            return archive is null ? null : throw new DatasetException(
                $"image '{name}' not found; unpack {Path.GetFileName(archive)} beside the question file first, or let gemmacore flare convert do it");
        }

        return Parse(FlareFiles.ReadAllBytes(file), file, FlareFiles.DatasetOf(root, file), FindImage, prompts, report, maxImages);
    }

    /// <summary>Opens a question file that is already in memory.</summary>
    /// <param name="json">The file.</param>
    /// <param name="file">Name for messages.</param>
    /// <param name="questions">Its list of questions, valid until the document is disposed.</param>
    /// <exception cref="DatasetException">It is no JSON, or no list of questions.</exception>
    internal static JsonDocument Open(ReadOnlyMemory<byte> json, string file, out JsonElement questions)
    {
        try
        {
            JsonDocument document = FlareFiles.Open(json, file);
            questions = FlareFiles.Questions(document.RootElement, file);
            return document;
        }
        catch (FormatException error)
        {
            throw new DatasetException(error.Message);
        }
    }
}
