using System.Text.Json;

namespace GemmaCore.Evaluation;

/// <summary>A reference: an evaluation row without prediction, and the key under which the challenge looks for one.</summary>
/// <param name="Row">The row.</param>
/// <param name="Key">Picture name and question.</param>
public sealed record Reference(EvaluationRow Row, string Key);

/// <summary>What was read as references.</summary>
/// <param name="References">Rows with a right answer, sorted by uid.</param>
/// <param name="Blank">Rows left out because their reference is missing, null or blank.</param>
/// <param name="Files">The files.</param>
public sealed record ReferenceSet(IReadOnlyList<Reference> References, IReadOnlyList<Reference> Blank, IReadOnlyList<string> Files)
{
    /// <summary>Rows that are there but not scored: predictions for them are no strangers.</summary>
    public IReadOnlyList<Reference> Ignored { get; init; } = Blank;

    /// <summary>The same references, only those of some data sets to be scored.</summary>
    public ReferenceSet Only(IReadOnlyCollection<string> datasets)
    {
        ILookup<bool, Reference> chosen = References.ToLookup(reference => datasets.Contains(reference.Row.Dataset));
        return this with { References = [.. chosen[true]], Ignored = [.. Ignored, .. chosen[false]] };
    }
}

/// <summary>
/// Reads references: rows converted by <c>flare convert</c> or by the 2026 baseline (JSON lines), FLARE question files with answers, or folders of either
/// (flare.md §5).
/// </summary>
public static class ReferenceReader
{
    // The first key that exists counts, even when its value is null or empty.
    private static readonly string[] AnswerKeys = ["raw_answer", "answer", "target", "reference", "label", "ground_truth"];

    /// <summary>Reads files and folders.</summary>
    /// <param name="paths">Files, FLARE folders, or folders of converted rows.</param>
    /// <param name="splits">Splits of folders to read; empty for all that are evaluated.</param>
    /// <exception cref="EvaluationException">A file is not there or no JSON, a uid stands twice, a row has no task, or nothing is left.</exception>
    public static ReferenceSet Read(IReadOnlyList<string> paths, IReadOnlyList<string> splits)
    {
        ArgumentNullException.ThrowIfNull(paths);
        ArgumentNullException.ThrowIfNull(splits);
        string[] files = [.. paths.SelectMany(path => Expand(path, splits))];
        return Gather(files.SelectMany(ReadFile), files);
    }

    /// <summary>Sorts references and sets those without an answer aside.</summary>
    /// <param name="rows">References of one or several sources.</param>
    /// <param name="sources">Names of the sources, for messages.</param>
    /// <exception cref="EvaluationException">A uid stands twice, or no row has an answer.</exception>
    public static ReferenceSet Gather(IEnumerable<Reference> rows, IReadOnlyList<string> sources)
    {
        ArgumentNullException.ThrowIfNull(rows);
        var references = new List<Reference>();
        var blank = new List<Reference>();
        foreach (Reference reference in rows) (reference.Row.Reference.Length > 0 ? references : blank).Add(reference);
        string[] twice = [.. references.GroupBy(reference => reference.Row.Uid).Where(group => group.Count() > 1).Select(group => group.Key).Order(StringComparer.Ordinal)];
        if (twice.Length > 0) throw new EvaluationException($"the references hold {twice.Length} uids more than once: {FirstTen.Of(twice)}; is one file given twice?");
        if (references.Count == 0) throw new EvaluationException($"{string.Join(", ", sources)}: no row has an answer to compare with");
        references.Sort((a, b) => string.CompareOrdinal(a.Row.Uid, b.Row.Uid));
        return new ReferenceSet(references, blank, sources);
    }

    private static IEnumerable<Reference> ReadFile(string file)
    {
        string dataset = FlareFiles.DatasetOf(file, file);
        foreach ((string where, int index, JsonElement row) in JsonRows.Read(file)) yield return ReadRow(row, file, dataset, where, index);
    }

    private static string[] Expand(string path, IReadOnlyList<string> splits)
    {
        if (!Directory.Exists(path)) return [path];
        IReadOnlyList<string> wanted = splits.Count > 0 ? splits : FlareSplits.Evaluated;
        string[] questions = [.. wanted.SelectMany(split => FlareFiles.Find(path, split, answers: true))];
        if (questions.Length > 0) return questions;
        throw new EvaluationException($"{path}: holds neither question files nor converted rows of {string.Join(", ", wanted)}; give the file or another --split");
    }

    private static Reference ReadRow(JsonElement row, string file, string dataset, string where, int index)
    {
        try
        {
            var record = new FlareRecord(row, file, dataset, index);
            JsonElement? value = record.Answer;
            foreach (string key in AnswerKeys)
            {
                if (!row.TryGetProperty(key, out JsonElement found)) continue;
                value = found;
                break;
            }

            string answer = value is { } some ? AnswerText.Text(some) : "";
            if (string.IsNullOrWhiteSpace(answer) || value is { ValueKind: JsonValueKind.Null }) answer = "";
            if (record.Task is null && answer.Length > 0) throw new EvaluationException($"{where}: there is no task_type; expected one of {TaskTypes.Names}");
            string[] parts = record.Uid.Split(':');
            bool named = parts.Length >= 6;
            var evaluated = new EvaluationRow(
                record.Uid, where, FlareSplits.Published(named ? parts[0] : record.Split), named ? parts[1] : Dataset(record), record.Modality, record.Task ?? default, record.IsInstanceDetection,
                answer, null);
            return new Reference(evaluated, FlareRecord.Key(record.ImageNames, record.Question));
        }
        catch (Exception error) when (error is FormatException or InvalidOperationException)
        {
            // Strings are decoded when they are asked for.
            throw new EvaluationException($"{where}: {(error is FormatException ? error.Message : "a string is not valid Unicode")}", error);
        }
    }

    private static string Dataset(FlareRecord record) => record.Field("dataset") is { Length: > 0 } name ? name
        : record.Field("source") is { Length: > 0 } source ? source : record.Dataset;
}
