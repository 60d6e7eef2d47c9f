using GemmaCore.Evaluation;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets.Tables;

namespace GemmaCore.Training.Datasets.Radiographs;

/// <summary>
/// CheXpert as Stanford AIMI distributes it: <c>train.csv</c>, <c>valid.csv</c> and, where one has it, <c>test.csv</c>, whose <c>Path</c> begins with the name of the
/// set; the small edition in one folder, the large one in "batch" folders. One question for each picture.
/// </summary>
internal static class CheXpert
{
    private static readonly string[] Blanks = ["labels", "view", "age", "sex"];

    private static readonly Dictionary<TaskType, string> Usual = new() { [TaskType.MultiLabelClassification] = Radiograph.LabelQuestion };

    public static IEnumerable<TrainingExample> Read(DatasetConfiguration configuration, string split, RowReport report)
    {
        string root = configuration.Path;
        if (!Directory.Exists(root)) throw new DatasetException($"{root}: not found; expected the folder of CheXpert, which holds train.csv and valid.csv");
        _ = Radiograph.Tasks(configuration, TaskType.MultiLabelClassification);
        string[] folders = [root, .. Directory.EnumerateDirectories(root, "CheXpert-v1.0*").Order(StringComparer.Ordinal)];
        string name = Radiograph.Split(configuration, split, "train", "valid", "test") + ".csv";
        string file = folders.Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists)
            ?? throw new DatasetException($"{root}: there is no {name}; expected the folder of CheXpert, which holds train.csv and valid.csv");
        var questions = new TableQuestions(configuration, "chexpert", file, Usual, Blanks);
        Radiograph.RequireLabels(configuration, questions);
        using TableFile table = TableFile.Open(file);
        var labels = new CheXpertLabels(table, configuration.Labels, configuration.Uncertainty);
        int path = table.Column("Path");
        // The test set's table has the labels alone.
        int? sex = table.Find("Sex"), age = table.Find("Age"), side = table.Find("Frontal/Lateral"), direction = table.Find("AP/PA");
        foreach (TableRow row in table.Rows(report))
        {
            string place = row[path].Replace('\\', '/'), where = $"{file}: line {row.Line}";
            string shown = side is { } column ? row[column] : place.Contains("lateral", StringComparison.OrdinalIgnoreCase) ? "Lateral" : "Frontal";
            string view = direction is { } at && row[at].Length > 0 ? row[at] : shown;
            if (Math.Max(Radiograph.Rank(configuration, shown), Radiograph.Rank(configuration, view)) < 0) continue;
            if (Question(row) is { } question) yield return question;

            TrainingExample? Question(TableRow row)
            {
                try
                {
                    (IReadOnlyList<string> asked, IReadOnlyList<string> present) = labels.Read(row);
                    if (asked.Count == 0)
                    {
                        report.LeaveOut("pictures whose labels are all uncertain (uncertainty: ignore)");
                        return null;
                    }

                    string image = Find(folders, place) ?? throw new DatasetException($"image '{place}' not found");
                    string[] parts = place.Split('/', StringSplitOptions.RemoveEmptyEntries);
                    string patient = parts.FirstOrDefault(part => part.StartsWith("patient", StringComparison.Ordinal)) ?? "";
                    Dictionary<string, string> fields = Radiograph.Fields(
                        ("labels", string.Join(", ", asked)), ("view", view), ("age", age is { } a ? row[a] : ""), ("sex", sex is { } s ? row[s] : ""));
                    return questions.Word(new TableQuestion(
                        where, split, string.Join('_', patient.Length > 0 ? parts.SkipWhile(part => part != patient) : parts).Split('.')[0], "0", TaskType.MultiLabelClassification, [image], fields,
                        CheXpertLabels.Answer(present))
                    { Patient = patient, Labels = asked });
                }
                catch (DatasetException error)
                {
                    report.Add(where, error.Message);
                    return null;
                }
            }
        }
    }

    // "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg": beside the folder of that name, inside it, or, in the large edition, without "train" in
    // one of the batch folders.
    private static string? Find(string[] folders, string place)
    {
        string[] parts = place.Split('/', StringSplitOptions.RemoveEmptyEntries);
        foreach (string folder in folders)
        {
            for (int skip = 0; skip <= Math.Min(2, parts.Length - 1); skip++)
            {
                string path = Path.GetFullPath(Path.Combine([folder, .. parts[skip..]]));
                if (File.Exists(path)) return path;
            }
        }

        return null;
    }
}
