using GemmaCore.Evaluation;
using GemmaCore.Evaluation.Regions;
using GemmaCore.Inputs;

namespace GemmaCore.Training.Datasets;

/// <summary>
/// Rewrites the answers of detection rows as MedGemma writes boxes, in thousandths of the picture, y first (<c>box_format: box_2d</c>). Pixels of a picture whose size the
/// model never sees cannot be learnt where sizes differ (flare.md §1.5); thousandths can.
/// </summary>
internal static class MedGemmaBoxes
{
    /// <param name="rows">Rows of any task.</param>
    /// <param name="padded">The model will see pictures padded to a square.</param>
    /// <param name="report">What happens with bad rows.</param>
    /// <exception cref="DatasetException">An answer holds no boxes, or a picture cannot be read, and bad rows stop the run.</exception>
    public static IReadOnlyList<TrainingExample> Of(IReadOnlyList<TrainingExample> rows, bool padded, RowReport report)
    {
        var written = new List<TrainingExample>(rows.Count);
        foreach (TrainingExample row in rows)
        {
            if (row is not { Task: TaskType.Detection, Answer: { } answer })
            {
                written.Add(row);
                continue;
            }

            try
            {
                ImageSource picture = row.Prompt[^1].Content.OfType<ImagePart>().FirstOrDefault()?.Image ?? throw new DatasetException("box_format: box_2d needs a picture");
                (int width, int height) = ImageDecoder.ReadSize(picture);
                var frame = new PictureFrame(width, height, padded);
                IReadOnlyList<Region> regions = RegionAnswers.Parse(answer, frame) ?? throw new DatasetException($"the answer holds no boxes: '{answer}'");
                written.Add(row with { Answer = RegionFormats.Write(regions, "box_2d", frame) });
            }
            catch (Exception error) when (error is DatasetException or InputException)
            {
                report.Add(row.Row, error.Message);
            }
        }

        return written;
    }
}
