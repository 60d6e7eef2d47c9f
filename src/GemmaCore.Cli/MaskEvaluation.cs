using System.Text.Json.Nodes;
using GemmaCore.Evaluation;
using GemmaCore.Inputs;
using Spectre.Console;

namespace GemmaCore.Cli;

/// <summary>Masks of one folder against those of another, by file name (without its ending).</summary>
/// <param name="threshold">From which share of white on a pixel belongs to a binary mask.</param>
/// <param name="classes">Grey values are class numbers instead; 0 is background and left out.</param>
/// <param name="allowMissing">A reference without a prediction counts as an empty one.</param>
internal sealed class MaskEvaluation(double threshold, bool classes, bool allowMissing)
{
    private const int Most = 10;

    public IReadOnlyList<MaskScore> Score(string references, string predictions)
    {
        Dictionary<string, string> expected = Files(references, "--ref"), given = Files(predictions, "--pred");
        string[] missing = [.. expected.Keys.Where(name => !given.ContainsKey(name)).Order(StringComparer.Ordinal)];
        if (missing.Length > 0 && !allowMissing)
        {
            string more = missing.Length > Most ? $" and {missing.Length - Most} more" : "";
            throw new EvaluationException(
                $"{predictions}: {missing.Length} of {expected.Count} references have no prediction: {string.Join(", ", missing.Take(Most))}{more}; --allow-missing-predictions takes empty masks for them");
        }

        var overlaps = new SortedDictionary<int, List<MaskOverlap>>();
        foreach ((string name, string file) in expected.OrderBy(entry => entry.Key, StringComparer.Ordinal))
        {
            Mask right = Read(file), predicted = given.TryGetValue(name, out string? other) ? Read(other) : right with { Classes = new byte[right.Classes.Length] };
            // A class counts in the pictures where either mask has it; a binary mask in all of them.
            foreach (int number in classes ? right.Classes.Union(predicted.Classes).Where(number => number != 0).Select(number => (int)number) : [1])
            {
                if (!overlaps.TryGetValue(number, out List<MaskOverlap>? list)) overlaps.Add(number, list = []);
                list.Add(Compare(right, predicted, number, name));
            }
        }

        return [.. overlaps.Select(entry => MaskScore.Of(entry.Key, entry.Value))];
    }

    public static JsonObject Json(IReadOnlyList<MaskScore> scores) => new()
    {
        ["mean_dice"] = scores.Average(score => score.MeanDice),
        ["mean_iou"] = scores.Average(score => score.MeanIou),
        ["cumulative_iou"] = scores.Average(score => score.CumulativeIou),
        ["classes"] = new JsonArray([.. scores.Select(score => (JsonNode)new JsonObject
        {
            ["class"] = score.Class, ["pictures"] = score.Pictures, ["mean_dice"] = score.MeanDice, ["mean_iou"] = score.MeanIou, ["cumulative_dice"] = score.CumulativeDice, ["cumulative_iou"] = score.CumulativeIou,
        })]),
    };

    public static void Write(IReadOnlyList<MaskScore> scores)
    {
        var table = new Table { Border = TableBorder.Simple };
        foreach (string column in (string[])["class", "pictures", "mean Dice", "mean IoU", "cumulative Dice", "cIoU"]) table.AddColumn(new TableColumn(column).RightAligned());
        foreach (MaskScore score in scores)
        {
            table.AddRow(
                $"{score.Class}", $"{score.Pictures}", EvaluationPage.Show(score.MeanDice), EvaluationPage.Show(score.MeanIou), EvaluationPage.Show(score.CumulativeDice),
                EvaluationPage.Show(score.CumulativeIou));
        }

        AnsiConsole.Write(table);
    }

    private static MaskOverlap Compare(Mask right, Mask predicted, int number, string name)
    {
        try
        {
            return MaskOverlap.Of(right, predicted, number);
        }
        catch (EvaluationException error)
        {
            throw new EvaluationException($"{name}: {error.Message}");
        }
    }

    private static Dictionary<string, string> Files(string folder, string flag)
    {
        if (!Directory.Exists(folder)) throw new UsageException($"{flag} {folder}: not found; with --mask a folder of pictures is expected");
        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string file in Directory.EnumerateFiles(folder).Where(file => !Path.GetFileName(file).StartsWith('.')))
        {
            if (!files.TryAdd(Path.GetFileNameWithoutExtension(file), file))
                throw new EvaluationException($"{folder}: two masks are named {Path.GetFileNameWithoutExtension(file)}; keep one");
        }

        return files.Count > 0 ? files : throw new EvaluationException($"{folder}: holds no masks");
    }

    private Mask Read(string file)
    {
        RgbImage image = ImageDecoder.Decode(ImageSource.FromFile(file));
        byte[] grey = new byte[image.Width * image.Height];
        for (int i = 0; i < grey.Length; i++) grey[i] = image.Pixels[3 * i];
        return classes ? new Mask(image.Width, image.Height, grey) : Mask.Threshold(image.Width, image.Height, grey, threshold);
    }
}
