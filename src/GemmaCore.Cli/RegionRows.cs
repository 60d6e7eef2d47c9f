using GemmaCore.Evaluation;
using GemmaCore.Evaluation.Regions;
using GemmaCore.Inputs;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Cli;

/// <summary>A question about boxes, its picture, and what is known of its regions.</summary>
/// <param name="Row">The question.</param>
/// <param name="Picture">File of its first picture.</param>
/// <param name="Frame">Size of the picture, and whether the model saw it padded.</param>
/// <param name="Prediction">The predicted answer; null where predictions were not given.</param>
internal sealed record RegionRow(TrainingExample Row, string Picture, PictureFrame Frame, string? Prediction)
{
    /// <summary>The right regions; null where there are none or they cannot be read.</summary>
    public IReadOnlyList<Region>? References => Row.Answer is { } answer ? Named(RegionAnswers.Parse(answer, Frame)) : null;

    /// <summary>The predicted regions; null where there are none or they cannot be read.</summary>
    public IReadOnlyList<Region>? Predictions => Prediction is { } answer ? Named(RegionAnswers.Parse(answer, Frame)) : null;

    // A question about one finding has answers without labels.
    private IReadOnlyList<Region>? Named(IReadOnlyList<Region>? regions) => Row.Labels is [var finding] && regions is not null
        ? [.. regions.Select(region => region with { Bounds = region.Bounds with { Label = region.Label ?? finding } })]
        : regions;
}

/// <summary>The detection questions of a data source, with predictions where there are any.</summary>
internal static class RegionRows
{
    /// <summary>Reads rows and sizes of pictures.</summary>
    /// <param name="rows">Rows of a data set; those of other tasks are left aside.</param>
    /// <param name="predictions">Files of predictions; empty for the references alone.</param>
    /// <param name="padded">The model saw pictures padded to a square.</param>
    /// <exception cref="EvaluationException">There are no questions about boxes, or no prediction belongs to one.</exception>
    public static IReadOnlyList<RegionRow> Read(IReadOnlyList<TrainingExample> rows, string[] predictions, bool padded)
    {
        PredictionSet? given = predictions.Length > 0 ? PredictionReader.Read(predictions) : null;
        var found = new List<RegionRow>();
        int questions = 0;
        foreach (TrainingExample row in rows.Where(row => row.Task == TaskType.Detection))
        {
            questions++;
            string? text = null;
            if (given is not null && (text = Find(given, row)) is null) continue;
            if (row.Prompt[^1].Content.OfType<ImagePart>().FirstOrDefault()?.Image.Path is not { } picture) continue;
            (int width, int height) = ImageDecoder.ReadSize(ImageSource.FromFile(picture));
            found.Add(new RegionRow(row, picture, new PictureFrame(width, height, padded), text));
        }

        if (questions == 0) throw new EvaluationException($"the data hold no questions of task {TaskType.Detection.Name()}");
        return found.Count > 0 ? found : throw new EvaluationException(
            $"{string.Join(", ", predictions)}: no prediction belongs to any of the {questions} questions about boxes; predictions are named like '{given?.ByName.Keys.First()}', questions like '{rows[0].Uid}'");
    }

    private static string? Find(PredictionSet given, TrainingExample row)
    {
        if (given.ByName.TryGetValue(row.Uid, out Prediction? prediction)) return prediction.Text;
        // The challenge's array knows rows by picture and question.
        if (row.Fields.Count == 0) return null;
        using var document = System.Text.Json.JsonDocument.Parse("{" + string.Join(",", row.Fields.Select(field => $"{System.Text.Json.JsonSerializer.Serialize(field.Key)}:{field.Value}")) + "}");
        var record = new FlareRecord(document.RootElement, "", row.Dataset, 0);
        return given.ByName.TryGetValue(FlareRecord.Key(record.ImageNames, record.Question), out prediction) ? prediction.Text : null;
    }
}
