using System.Text.Json;

namespace GemmaCore.Evaluation;

/// <summary>One predicted answer.</summary>
/// <param name="Name">The row's uid; or picture name and question where it has none.</param>
/// <param name="Text">The answer.</param>
/// <param name="Scores">Log-probability by label, where the row has <c>scores</c>.</param>
public sealed record Prediction(string Name, string Text, IReadOnlyDictionary<string, double> Scores);

/// <summary>What was read as predictions.</summary>
/// <param name="ByName">Predictions by uid, or by picture name and question. Of several for one row the first counts.</param>
/// <param name="Duplicates">Names that came more than once, sorted.</param>
/// <param name="Files">The files.</param>
public sealed record PredictionSet(IReadOnlyDictionary<string, Prediction> ByName, IReadOnlyList<string> Duplicates, IReadOnlyList<string> Files);

/// <summary>
/// Reads predictions: JSON lines or an array of <c>{"uid", "prediction"}</c>, an object of uid and text, or a submission, FLARE rows with <c>Answer</c> filled in
/// (flare.md §5).
/// </summary>
public static class PredictionReader
{
    private static readonly string[] TextKeys = ["prediction", "pred", "answer", "output", "response", "report", "text"];
    private static readonly Dictionary<string, double> NoScores = [];

    /// <summary>Reads files; a folder stands for its <c>*predictions.jsonl</c> and <c>*predictions.json</c>.</summary>
    /// <exception cref="EvaluationException">A file is not there or no JSON, or a row is no prediction.</exception>
    public static PredictionSet Read(IReadOnlyList<string> paths)
    {
        ArgumentNullException.ThrowIfNull(paths);
        string[] files = [.. paths.SelectMany(Expand)];
        var byName = new Dictionary<string, Prediction>(StringComparer.Ordinal);
        var twice = new SortedSet<string>(StringComparer.Ordinal);
        foreach (string file in files)
        {
            foreach ((string where, int index, JsonElement row) in JsonRows.Read(file))
            {
                Prediction prediction = ReadRow(row, where, file, index);
                if (!byName.TryAdd(prediction.Name, prediction)) twice.Add(prediction.Name);
            }
        }

        if (byName.Count == 0) throw new EvaluationException($"{string.Join(", ", paths)}: holds no predictions");
        return new PredictionSet(byName, [.. twice], files);
    }

    private static string[] Expand(string path)
    {
        if (!Directory.Exists(path)) return [path];
        string[] files = [.. Directory.EnumerateFiles(path).Where(file => file.EndsWith("predictions.jsonl", StringComparison.Ordinal) || file.EndsWith("predictions.json", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)];
        return files.Length > 0 ? files : throw new EvaluationException($"{path}: holds no file named ...predictions.jsonl or ...predictions.json");
    }

    private static Prediction ReadRow(JsonElement row, string where, string file, int index)
    {
        try
        {
            return new Prediction(NameOf(row, file, index), Text(row, where), ScoresOf(row, where));
        }
        catch (Exception error) when (error is FormatException or InvalidOperationException)
        {
            throw new EvaluationException($"{where}: {(error is FormatException ? error.Message : "a string is not valid Unicode, or no text where one belongs")}", error);
        }
    }

    private static string NameOf(JsonElement row, string file, int index)
    {
        if (row.TryGetProperty("uid", out JsonElement uid) && uid.ValueKind == JsonValueKind.String) return uid.GetString()!;
        var record = new FlareRecord(row, file, "", index);
        if (record.Question.Length == 0 && record.ImageNames.Count == 0) throw new FormatException("there is neither a uid nor ImageName and Question");
        return FlareRecord.Key(record.ImageNames, record.Question);
    }

    private static string Text(JsonElement row, string where)
    {
        foreach (string key in TextKeys)
        {
            if (!row.TryGetProperty(key, out JsonElement value)) continue;
            // Converted rows carry the right answer under this name: scored as predictions they would be perfect.
            if (key == "answer" && row.TryGetProperty("raw_answer", out _))
                throw new EvaluationException($"{where}: these are references (raw_answer), not predictions; expected one of {string.Join(", ", TextKeys)}");
            return Plain(value);
        }

        if (row.TryGetProperty("Answer", out JsonElement answer)) return Plain(answer);
        throw new EvaluationException($"{where}: there is no prediction; expected one of {string.Join(", ", TextKeys)}, or Answer");
    }

    private static string Plain(JsonElement value) => value.ValueKind == JsonValueKind.Null ? "" : AnswerText.Text(value);

    private static Dictionary<string, double> ScoresOf(JsonElement row, string where)
    {
        if (!row.TryGetProperty("scores", out JsonElement scores) || scores.ValueKind == JsonValueKind.Null) return NoScores;
        if (scores.ValueKind != JsonValueKind.Object || scores.EnumerateObject().Any(entry => entry.Value.ValueKind != JsonValueKind.Number))
            throw new EvaluationException($"{where}: scores must be an object of label and log-probability");
        var read = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (JsonProperty entry in scores.EnumerateObject()) read[entry.Name] = entry.Value.GetDouble();
        return read;
    }
}
