using System.Text.Json.Nodes;
using GemmaCore.Evaluation;
using GemmaCore.Evaluation.Masks;
using GemmaCore.Inputs;
using Spectre.Console;

namespace GemmaCore.Cli;

/// <summary>Overlap of one structure over many pictures.</summary>
/// <param name="Structure">Its number; 1 for masks of yes and no.</param>
/// <param name="Pictures">Pictures counted.</param>
/// <param name="MeanDice">Mean of each picture's Dice.</param>
/// <param name="MeanIou">Mean of each picture's IoU.</param>
/// <param name="Sum">All their pixels together: its IoU is cIoU.</param>
internal sealed record MaskScore(int Structure, int Pictures, double MeanDice, double MeanIou, MaskOverlap Sum);

/// <summary>
/// Masks of one folder against those of another, by file name (without its ending): pictures, or polygons as <see cref="PolygonFile"/> reads them. Predictions can also be
/// a file of answers that hold boxes or polygons.
/// </summary>
/// <param name="threshold">From which share of white on a pixel belongs to a mask of yes and no.</param>
/// <param name="classes">Grey values are numbers of structures instead; 0 is background and left out.</param>
/// <param name="allowMissing">A reference without a prediction counts as an empty one.</param>
internal sealed class MaskEvaluation(double threshold, bool classes, bool allowMissing)
{
    private const int Most = 10;

    public IReadOnlyList<MaskScore> Score(string references, string predictions)
    {
        Dictionary<string, string> expected = Files(references, "--ref");
        bool answers = File.Exists(predictions);
        Dictionary<string, string> given = answers ? Answers(predictions) : Files(predictions, "--pred");
        string[] missing = [.. expected.Keys.Where(name => !given.ContainsKey(name)).Order(StringComparer.Ordinal)];
        if (missing.Length > 0 && !allowMissing)
        {
            string names = string.Join(", ", missing.Take(Most)) + (missing.Length > Most ? $" and {missing.Length - Most} more" : "");
            throw new EvaluationException(
                $"{predictions}: {missing.Length} of {expected.Count} references have no prediction: {names}; --allow-missing-predictions takes empty masks for them");
        }

        var overlaps = new SortedDictionary<int, List<MaskOverlap>>();
        foreach ((string name, string file) in expected.OrderBy(entry => entry.Key, StringComparer.Ordinal))
        {
            Mask right = Read(file, null);
            // Without a prediction, or where an answer holds no region: empty.
            Mask? found = !given.TryGetValue(name, out string? other) ? null : answers ? PolygonFile.Answer(other, (right.Width, right.Height), classes) : Read(other, (right.Width, right.Height));
            Mask predicted = found ?? new Mask(right.Width, right.Height, new byte[right.Values.Length]);
            foreach ((int structure, MaskOverlap overlap) in Overlaps(predicted, right, name))
            {
                if (!overlaps.TryGetValue(structure, out List<MaskOverlap>? list)) overlaps.Add(structure, list = []);
                list.Add(overlap);
            }
        }

        return [.. overlaps.Select(entry => new MaskScore(
            entry.Key, entry.Value.Count, entry.Value.Average(one => one.Dice), entry.Value.Average(one => one.Iou), entry.Value.Aggregate(MaskOverlap.Add)))];
    }

    public static JsonObject Json(IReadOnlyList<MaskScore> scores) => new()
    {
        ["mean_dice"] = scores.Average(score => score.MeanDice),
        ["mean_iou"] = scores.Average(score => score.MeanIou),
        ["cumulative_iou"] = scores.Average(score => score.Sum.Iou),
        ["structures"] = new JsonArray([.. scores.Select(score => (JsonNode)new JsonObject
        {
            ["structure"] = score.Structure,
            ["pictures"] = score.Pictures,
            ["mean_dice"] = score.MeanDice,
            ["mean_iou"] = score.MeanIou,
            ["cumulative_dice"] = score.Sum.Dice,
            ["cumulative_iou"] = score.Sum.Iou,
        })]),
    };

    public static void Write(IReadOnlyList<MaskScore> scores)
    {
        var table = new Table { Border = TableBorder.Simple };
        foreach (string column in (string[])["structure", "pictures", "mean Dice", "mean IoU", "cumulative Dice", "cIoU"]) table.AddColumn(new TableColumn(column).RightAligned());
        foreach (MaskScore score in scores)
        {
            table.AddRow(
                $"{score.Structure}", $"{score.Pictures}", EvaluationPage.Show(score.MeanDice), EvaluationPage.Show(score.MeanIou), EvaluationPage.Show(score.Sum.Dice),
                EvaluationPage.Show(score.Sum.Iou));
        }

        AnsiConsole.Write(table);
    }

    // A structure counts in the pictures where either mask has it; a mask of yes and no in all of them.
    private IEnumerable<(int Structure, MaskOverlap Overlap)> Overlaps(Mask predicted, Mask right, string name)
    {
        try
        {
            return classes ? [.. MaskOverlap.OfClasses(predicted, right).Select(entry => ((int)entry.Key, entry.Value))] : [(1, MaskOverlap.Of(predicted, right))];
        }
        catch (EvaluationException error)
        {
            throw new EvaluationException($"{name}: {error.Message}; masks are compared in the picture's own size");
        }
    }

    private static Dictionary<string, string> Files(string folder, string flag)
    {
        if (!Directory.Exists(folder)) throw new UsageException($"{flag} {folder}: not found; with --mask a folder of pictures or polygons is expected");
        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string file in Directory.EnumerateFiles(folder).Where(file => !Path.GetFileName(file).StartsWith('.')))
        {
            if (!files.TryAdd(Path.GetFileNameWithoutExtension(file), file))
                throw new EvaluationException($"{folder}: two masks are named {Path.GetFileNameWithoutExtension(file)}; keep one");
        }

        return files.Count > 0 ? files : throw new EvaluationException($"{folder}: holds no masks");
    }

    // Answers are known by their case, which is the stem of the picture's name; several about one picture would be several masks.
    private static Dictionary<string, string> Answers(string file)
    {
        var answers = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (Prediction prediction in PredictionReader.Read([file]).ByName.Values)
        {
            string name = prediction.Name.Split(':') is { Length: >= 6 } parts ? parts[3] : prediction.Name;
            if (!answers.TryAdd(name, prediction.Text)) throw new EvaluationException($"{file}: two answers are about {name}; keep those of one question");
        }

        return answers;
    }

    private Mask Read(string file, (int Width, int Height)? size)
    {
        if (PolygonFile.Is(file)) return PolygonFile.Read(file, size, classes);
        var source = ImageSource.FromFile(file);
        if (ImageDecoder.IsDicom(source)) throw new EvaluationException($"{file}: is a DICOM file, whose values are windowed when they are read; save the mask as PNG");
        RgbImage image = ImageDecoder.Decode(source);
        byte[] grey = new byte[image.Width * image.Height];
        for (int i = 0; i < grey.Length; i++) grey[i] = image.Pixels[3 * i];
        if (classes) return new Mask(image.Width, image.Height, grey);
        float[] shares = [.. grey.Select(value => value / 255f)];
        return Mask.FromScores(image.Width, image.Height, shares, (float)threshold);
    }
}
