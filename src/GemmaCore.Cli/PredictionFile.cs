using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Cli;

/// <summary>One answer of a data set.</summary>
/// <param name="Text">The answer.</param>
/// <param name="Scores">Per label ln p; null when they were not asked for.</param>
internal sealed record PredictedAnswer(string Text, IReadOnlyList<(string Label, double Score)>? Scores);

/// <summary>
/// The file that <c>predict</c> fills and goes on from. A name that ends in <c>.jsonl</c> makes the 2026 baseline's lines of uid and prediction, any other name
/// the challenge's array of question rows with <c>Answer</c> filled in (flare.md §5).
/// </summary>
internal sealed class PredictionFile
{
    private static readonly JsonSerializerOptions Array = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonSerializerOptions Line = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly string _file;
    private readonly IReadOnlyList<TrainingExample> _rows;
    private readonly bool _lines;

    /// <exception cref="UsageException">Converted rows would be written back with their right answers beside the predicted ones; rows of other types have no fields to write back.</exception>
    public PredictionFile(string file, IReadOnlyList<TrainingExample> rows)
    {
        (_file, _rows, _lines) = (file, rows, file.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase));
        if (!_lines && rows.Any(row => row.Fields.ContainsKey("raw_answer")))
            throw new UsageException($"--out {file}: converted rows carry uids and right answers; their predictions are written as JSON lines, name the file .jsonl");
        if (!_lines && rows.Any(row => row.Fields.Count == 0))
            throw new UsageException($"--out {file}: rows of this data set are known by their uid; their predictions are written as JSON lines, name the file .jsonl");
    }

    /// <summary>The answers that the file holds already, by the place of their row.</summary>
    /// <param name="needScores">An answer without scores is not enough.</param>
    /// <exception cref="DatasetException">It exists, but holds something else.</exception>
    public Dictionary<string, PredictedAnswer> Known(bool needScores)
    {
        var answers = new Dictionary<string, PredictedAnswer>();
        if (!File.Exists(_file)) return answers;
        // Equal rows take the answers in their order.
        Dictionary<string, Queue<string>> waiting = _rows.GroupBy(Key).ToDictionary(group => group.Key, group => new Queue<string>(group.Select(row => row.Row)));
        try
        {
            foreach (JsonNode? node in Nodes())
            {
                string answer = node![_lines ? "prediction" : "Answer"]!.GetValue<string>();
                (string, double)[]? scores = node["scores"]?.AsObject().Select(score => (score.Key, score.Value!.GetValue<double>())).ToArray();
                if (needScores && scores is null) continue;
                string key = _lines ? node["uid"]!.GetValue<string>() : Key(node.AsObject());
                if (waiting.TryGetValue(key, out Queue<string>? same) && same.TryDequeue(out string? row)) answers[row] = new PredictedAnswer(answer, scores);
            }

            return answers;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or NullReferenceException)
        {
            throw new DatasetException($"{_file}: exists, but holds no predictions to go on from; move it away or choose another --out");
        }
    }

    /// <summary>The whole file, in the order of the rows.</summary>
    public string Document(Dictionary<string, PredictedAnswer> answers)
    {
        IEnumerable<JsonObject> items = _rows.Where(row => answers.ContainsKey(row.Row)).Select(row => Item(row, answers[row.Row]));
        if (!_lines) return new JsonArray([.. items]).ToJsonString(Array) + "\n";
        var text = new StringBuilder();
        foreach (JsonObject item in items) text.Append(item.ToJsonString(Line)).Append('\n');
        return text.ToString();
    }

    private JsonObject Item(TrainingExample row, PredictedAnswer answer)
    {
        var item = new JsonObject();
        if (_lines)
        {
            (item["uid"], item["prediction"], item["task_type"]) = (row.Uid, answer.Text, row.Task is { } task ? Evaluation.TaskTypes.Name(task) : "other");
            item["case_id"] = row.Uid.Split(':') is { Length: >= 6 } parts ? parts[3] : "";
        }
        if (_lines && row.Tile is { } tile) item["tile"] = new JsonArray(tile.Left, tile.Top, tile.Width, tile.Height);
        if (!_lines)
        {
            foreach ((string name, string json) in row.Fields)
                if (name is not ("Answer" or "scores")) item[name] = JsonNode.Parse(json);
            item["Answer"] = answer.Text;
        }

        if (answer.Scores is { } scores) item["scores"] = new JsonObject(scores.Select(score => KeyValuePair.Create(score.Label, (JsonNode?)score.Score)));
        return item;
    }

    private IEnumerable<JsonNode?> Nodes() => _lines
        ? File.ReadLines(_file).Where(line => !string.IsNullOrWhiteSpace(line)).Select(line => JsonNode.Parse(line))
        : JsonNode.Parse(File.ReadAllText(_file))!.AsArray();

    private string Key(TrainingExample row) => _lines ? row.Uid : Key(row.Fields.Select(field => KeyValuePair.Create(field.Key, JsonNode.Parse(field.Value))));

    // A row is known again by everything it holds but what is predicted, however the JSON of it is spelled.
    private static string Key(IEnumerable<KeyValuePair<string, JsonNode?>> fields) =>
        string.Join('\n', fields.Where(field => field.Key is not ("Answer" or "scores")).OrderBy(field => field.Key, StringComparer.Ordinal)
            .Select(field => $"{JsonSerializer.Serialize(field.Key)}:{field.Value?.ToJsonString() ?? "null"}"));
}
