using GemmaCore.Evaluation;
using GemmaCore.Inputs;

namespace GemmaCore.Training.Datasets;

/// <summary>Rows whose pictures are shown as tiles or crops, of one prompt or each tile in a row of its own.</summary>
public static class CutPictures
{
    /// <summary>Cuts the pictures of rows; rows without pictures, and slices of volumes, stay as they are.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="cut">How.</param>
    /// <param name="asRows">Each tile becomes a row, known by its row's uid with <c>:tile:X:Y</c> behind it.</param>
    /// <param name="report">What happens with rows whose pictures cannot be cut.</param>
    /// <exception cref="DatasetException">A picture cannot be cut, and bad rows stop the run; or all are cut already.</exception>
    public static IReadOnlyList<TrainingExample> Of(IReadOnlyList<TrainingExample> rows, PictureCut cut, bool asRows, RowReport report)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(cut);
        ArgumentNullException.ThrowIfNull(report);
        var written = new List<TrainingExample>(rows.Count);
        foreach (TrainingExample row in rows)
        {
            ImageSource[] pictures = [.. row.Prompt.SelectMany(message => message.Content).OfType<ImagePart>().Select(part => part.Image)];
            if (Array.Exists(pictures, picture => picture.Region is not null)) throw new DatasetException($"{row.Row}: its pictures are cut already, by 'tiles' or 'crops' of the dataset block or 'region' of the row; leave one of the two out");
            try
            {
                if (!asRows || pictures.Length == 0) written.Add(row with { Prompt = cut.Apply(row.Prompt) });
                else written.AddRange(Tiles(row, pictures, cut));
            }
            catch (Exception error) when (error is DatasetException or InputException)
            {
                report.Add(row.Row, error.Message);
            }
        }

        return written;
    }

    private static IEnumerable<TrainingExample> Tiles(TrainingExample row, ImageSource[] pictures, PictureCut cut)
    {
        if (pictures is not [{ Slice: 0 } whole]) throw new DatasetException($"tiles become rows where a row has one picture, and this one has {pictures.Length}");
        if (row.Task == TaskType.Detection) throw new DatasetException("boxes of a whole picture are no answer about its tiles; show them in one prompt");
        ImageSource picture = cut.Of(whole);
        return cut.Regions(picture).Select(region => row with
        {
            Row = FormattableString.Invariant($"{row.Row} tile {region.Left},{region.Top}"),
            Uid = FormattableString.Invariant($"{row.Uid}:tile:{region.Left}:{region.Top}"),
            Tile = region,
            Fields = row.Fields.Count == 0 ? row.Fields : new Dictionary<string, string>(row.Fields) { ["Tile"] = FormattableString.Invariant($"[{region.Left},{region.Top},{region.Width},{region.Height}]") },
            Prompt = [.. row.Prompt.Select(message => message with { Content = [.. message.Content.Select(part => part is ImagePart ? new ImagePart(picture with { Region = region }) : part)] })],
        });
    }
}
