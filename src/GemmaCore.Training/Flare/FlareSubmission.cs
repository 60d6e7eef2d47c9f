using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Evaluation;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training.Flare;

/// <summary>A submission and what had to be put right in it.</summary>
/// <param name="Rows">The rows, in the order of the question files.</param>
/// <param name="Notes">One line for each kind of repair, with the number of answers.</param>
/// <param name="Missing">Rows without a prediction, by picture and question.</param>
public sealed record Submission(JsonArray Rows, IReadOnlyList<string> Notes, IReadOnlyList<string> Missing)
{
    private static readonly JsonSerializerOptions Layout = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The text of <c>predictions.json</c>.</summary>
    public string Text() => Rows.ToJsonString(Layout) + "\n";
}

/// <summary>
/// Writes predictions as the challenge wants them: the question rows with <c>Answer</c> filled in, everything else as it stood. Boxes are always nested lists and
/// numbers always finite, because its scorer takes a flat box for four false ones and one bad number for an infinite error (flare.md §7.1). Answers that a
/// question file may hold are never looked at, and files of the organisers' answers are refused by name.
/// </summary>
/// <param name="allowMissing">Rows without a prediction get an empty answer.</param>
public sealed class FlareSubmission(bool allowMissing)
{
    private const int Most = 10;

    private static readonly string[] Keys = ["TaskType", "Modality", "ImageName", "Question", "Answer", "Split"];

    private readonly SortedDictionary<string, int> _repairs = new(StringComparer.Ordinal);
    private readonly List<string> _missing = [];

    /// <summary>Fills in the answers of question files.</summary>
    /// <param name="files">Question files.</param>
    /// <param name="root">Folder of the splits, or the one file.</param>
    /// <param name="predictions">The predictions.</param>
    /// <exception cref="DatasetException">A file holds the organisers' answers or no questions, or predictions are missing.</exception>
    public Submission Fill(IReadOnlyList<string> files, string root, PredictionSet predictions)
    {
        ArgumentNullException.ThrowIfNull(files);
        ArgumentNullException.ThrowIfNull(predictions);
        if (files.FirstOrDefault(FlareFiles.HoldsAnswers) is { } forbidden)
            throw new DatasetException($"{forbidden}: holds the organisers' answers (withGT); a submission is made from the question file without them");
        if (files.FirstOrDefault(FlareFiles.IsConverted) is { } converted)
            throw new DatasetException($"{converted}: converted rows; a submission is made from the question files themselves");
        var rows = new JsonArray();
        foreach (string file in files)
        {
            string dataset = FlareFiles.DatasetOf(root, file);
            using JsonDocument document = FlareDataset.Open(File.ReadAllBytes(file), file, out JsonElement questions);
            int index = -1;
            foreach (JsonElement row in questions.EnumerateArray())
            {
                index++;
                if (row.ValueKind == JsonValueKind.Object) rows.Add((JsonNode)Fill(row, file, dataset, index, predictions));
            }
        }

        if (rows.Count == 0) throw new DatasetException($"{root}: holds no questions");
        if (_missing.Count > 0 && !allowMissing)
        {
            string more = _missing.Count > Most ? $" and {_missing.Count - Most} more" : "";
            throw new DatasetException(
                $"{_missing.Count} of {rows.Count} questions have no prediction: {string.Join(", ", _missing.Take(Most))}{more}; --allow-missing-predictions submits empty answers for them");
        }

        return new Submission(rows, [.. _repairs.Select(repair => $"{repair.Value} answers: {repair.Key}")], _missing);
    }

    private JsonObject Fill(JsonElement row, string file, string dataset, int index, PredictionSet predictions)
    {
        FlareRecord record;
        try
        {
            record = new FlareRecord(row, file, dataset, index);
        }
        catch (Exception error) when (error is FormatException or InvalidOperationException)
        {
            throw new DatasetException($"{file}: row {index}: {(error is FormatException ? error.Message : "a string is not valid Unicode")}");
        }

        bool found = predictions.ByName.TryGetValue(record.Uid, out Prediction? prediction)
            || predictions.ByName.TryGetValue(FlareRecord.Key(record.ImageNames, record.Question), out prediction);
        if (!found) _missing.Add(record.Uid);
        var filled = new JsonObject();
        foreach (JsonProperty field in row.EnumerateObject())
            if (field.Name != "Answer") filled[field.Name] = JsonNode.Parse(field.Value.GetRawText());
        filled["Answer"] = found ? Answer(record, prediction!.Text) : "";
        foreach (string key in Keys)
            if (!filled.ContainsKey(key)) filled[key] = key == "Question" ? record.Question : key == "ImageName" ? (record.ImageNames is [var name, ..] ? name : "") : "";
        return filled;
    }

    private string Answer(FlareRecord record, string text) => record.Task switch
    {
        TaskType.Detection when record.IsInstanceDetection => KeyedBoxes(text),
        TaskType.Detection => NestedBoxes(text),
        TaskType.Counting => Number(text, whole: true),
        TaskType.Regression => Number(text, whole: false),
        _ => text.Trim(),
    };

    private string NestedBoxes(string text)
    {
        IReadOnlyList<Box>? boxes = Boxes.Parse(text);
        if (boxes is null) Repair("no box could be read; an empty list is submitted");
        return "[" + string.Join(", ", Finite(boxes ?? []).Select(Corners)) + "]";
    }

    // Boxes without a key cannot be submitted: the scorer matches inside keys.
    private string KeyedBoxes(string text)
    {
        List<Box> boxes = Finite(Boxes.Parse(text) ?? []);
        if (boxes.Any(box => box.Label is null)) Repair("boxes without a key are left out");
        if (boxes.Count == 0) Repair("no box could be read; an empty object is submitted");
        // Keys "X" and "Y" of chromosomes were lowered by the parser.
        return "{" + string.Join(", ", boxes.Where(box => box.Label is not null).GroupBy(box => box.Label!.ToUpperInvariant())
            .Select(group => $"{JsonSerializer.Serialize(group.Key)}: [{string.Join(", ", group.Select(Corners))}]")) + "}";
    }

    private List<Box> Finite(IReadOnlyList<Box> boxes)
    {
        List<Box> finite = [.. boxes.Where(box => double.IsFinite(box.X1) && double.IsFinite(box.Y1) && double.IsFinite(box.X2) && double.IsFinite(box.Y2))];
        if (finite.Count < boxes.Count) Repair("boxes with corners beyond all numbers are left out");
        return finite;
    }

    private string Number(string text, bool whole)
    {
        double? number = AnswerText.Number(text);
        if (number is null || !double.IsFinite(number.Value))
        {
            Repair("no number could be read; 0 is submitted, because one bad number makes the whole task's error infinite");
            number = 0;
        }

        if (!PythonFloat.TryParse(text, out double same) || same != number) Repair("the number was taken out of a longer text");
        return AnswerText.FormatNumber(whole ? Math.Round(number.Value) : number.Value);
    }

    private void Repair(string what) => _repairs[what] = _repairs.GetValueOrDefault(what) + 1;

    private static string Corners(Box box) => string.Create(CultureInfo.InvariantCulture, $"[{AnswerText.FormatNumber(box.X1)}, {AnswerText.FormatNumber(box.Y1)}, {AnswerText.FormatNumber(box.X2)}, {AnswerText.FormatNumber(box.Y2)}]");
}
