using System.Globalization;
using GemmaCore.Evaluation;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets.Tables;

namespace GemmaCore.Training.Datasets.Radiographs;

/// <summary>
/// NIH ChestX-ray14 as the Clinical Center distributes it: <c>Data_Entry_2017.csv</c> (or <c>_v2020</c>), <c>train_val_list.txt</c>, <c>test_list.txt</c>,
/// <c>BBox_List_2017.csv</c>, and pictures below <c>images</c> or <c>images_001</c> … <c>images_012</c>. Wang et al., CVPR 2017.
/// </summary>
internal static class ChestXray14
{
    private const string TrainSplit = "train_val", TestSplit = "test", BoxFile = "BBox_List_2017.csv";

    private static readonly string[] EntryFiles = ["Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv"];

    private static readonly string[] Names =
    [
        "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis",
        "Pleural_Thickening", "Hernia",
    ];

    private static readonly string[] Blanks = ["labels", "view", "age", "sex", "finding"];

    private static readonly Dictionary<TaskType, string> Usual = new()
    {
        [TaskType.MultiLabelClassification] = Radiograph.LabelQuestion,
        [TaskType.Detection] = "Where is {finding} in this chest X-ray? Answer with its boxes as [[x_min, y_min, x_max, y_max], ...] in pixels of the image.",
    };

    private sealed record Entry(string Where, string Image, string Path, string Patient, string[] Findings, Dictionary<string, string> Fields);

    public static IEnumerable<TrainingExample> Read(DatasetConfiguration configuration, string split, RowReport report)
    {
        string root = configuration.Path;
        if (!Directory.Exists(root)) throw new DatasetException($"{root}: not found; expected the folder of ChestX-ray14");
        IReadOnlyList<TaskType> tasks = Radiograph.Tasks(configuration, TaskType.MultiLabelClassification, TaskType.Detection);
        string file = EntryFiles.Select(name => Path.Combine(root, name)).FirstOrDefault(File.Exists)
            ?? throw new DatasetException($"{root}: there is no Data_Entry_2017.csv; it is part of ChestX-ray14, beside the folders of pictures");
        string boxes = Path.Combine(root, BoxFile);
        // Boxes are a small extra: they are asked about where they are there, and missed only when they were asked for by name.
        if (configuration.Tasks.Count == 0 && !File.Exists(boxes)) tasks = [TaskType.MultiLabelClassification];
        HashSet<string> listed = Listed(configuration, Radiograph.Split(configuration, split, TrainSplit, TestSplit, "all"));
        var questions = new TableQuestions(configuration, "chestxray14", file, Usual, Blanks);
        ILookup<string, (string Finding, string Box)> marked = tasks.Contains(TaskType.Detection) ? Boxes(boxes, report) : Enumerable.Empty<(string, string)>().ToLookup(_ => "");
        IReadOnlyList<string> labels = CheXpertLabels.Chosen(configuration.Labels, Names);
        foreach (Entry entry in Entries(configuration, file, listed, report))
        {
            if (tasks.Contains(TaskType.MultiLabelClassification)) yield return questions.Word(Labels(entry, split, labels));
            foreach (IGrouping<string, (string Finding, string Box)> finding in marked[entry.Image].GroupBy(box => box.Finding))
            {
                if (!labels.Contains(finding.Key)) continue;
                Dictionary<string, string> fields = new(entry.Fields, StringComparer.OrdinalIgnoreCase) { ["finding"] = finding.Key.Replace('_', ' '), ["labels"] = finding.Key };
                yield return questions.Word(new TableQuestion(
                    $"{entry.Where} ({finding.Key})", split, Path.GetFileNameWithoutExtension(entry.Image), finding.Key, TaskType.Detection, [entry.Path], fields,
                    "[" + string.Join(", ", finding.Select(box => box.Box)) + "]")
                { Patient = entry.Patient, Labels = [finding.Key] });
            }
        }
    }

    private static TableQuestion Labels(Entry entry, string split, IReadOnlyList<string> labels)
    {
        Dictionary<string, string> fields = new(entry.Fields, StringComparer.OrdinalIgnoreCase) { ["finding"] = "", ["labels"] = string.Join(", ", labels) };
        return new TableQuestion(
            entry.Where, split, Path.GetFileNameWithoutExtension(entry.Image), "0", TaskType.MultiLabelClassification, [entry.Path], fields,
            CheXpertLabels.Answer([.. labels.Where(entry.Findings.Contains)]))
        { Patient = entry.Patient, Labels = labels };
    }

    private static IEnumerable<Entry> Entries(DatasetConfiguration configuration, string file, HashSet<string> listed, RowReport report)
    {
        Dictionary<string, string> pictures = Pictures(configuration.Path);
        using TableFile table = TableFile.Open(file);
        int image = table.Column("Image Index"), findings = table.Column("Finding Labels"), patient = table.Column("Patient ID");
        int view = table.Column("View Position"), age = table.Column("Patient Age"), sex = table.Column("Patient Gender");
        foreach (TableRow row in table.Rows(report))
        {
            if ((listed.Count > 0 && !listed.Contains(row[image])) || Radiograph.Rank(configuration, row[view]) < 0) continue;
            string where = $"{file}: line {row.Line}";
            string[] found = row[findings].Split('|', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            string? unknown = found.FirstOrDefault(name => name != CheXpertLabels.NoFinding && !Names.Contains(name));
            if (unknown is not null) report.Add(where, $"the finding '{unknown}' is unknown; did you mean {Spelling.Nearest(unknown, Names)}?");
            else if (!pictures.TryGetValue(row[image], out string? path)) report.Add(where, $"image '{row[image]}' not found; unpack images_001.tar.gz … images_012.tar.gz");
            else
            {
                // The first edition writes ages as 058Y.
                string years = row[age].TrimEnd('Y').TrimStart('0');
                yield return new Entry(where, row[image], path, row[patient], found, Radiograph.Fields(("view", row[view]), ("age", years.Length > 0 ? years : "0"), ("sex", row[sex])));
            }
        }
    }

    private static Dictionary<string, string> Pictures(string root)
    {
        var pictures = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        var everywhere = new EnumerationOptions { RecurseSubdirectories = true, MatchCasing = MatchCasing.CaseInsensitive, AttributesToSkip = 0, IgnoreInaccessible = false };
        foreach (string folder in Directory.EnumerateDirectories(root, "images*").Order(StringComparer.Ordinal))
            foreach (string path in Directory.EnumerateFiles(folder, "*.png", everywhere)) pictures.TryAdd(Path.GetFileName(path), Path.GetFullPath(path));
        return pictures.Count > 0 ? pictures : throw new DatasetException($"{root}: there are no pictures below images or images_001 … images_012; unpack the archives images_*.tar.gz there");
    }

    // Empty for all pictures.
    private static HashSet<string> Listed(DatasetConfiguration configuration, string split)
    {
        if (split == "all") return [];
        string file = Path.Combine(configuration.Path, split + "_list.txt");
        if (!File.Exists(file)) throw new DatasetException($"{file}: not found; it lists the pictures of split '{split}' and is part of ChestX-ray14 (split: all needs no list)");
        HashSet<string> names = [.. File.ReadLines(file).Select(line => line.Trim()).Where(line => line.Length > 0)];
        return names.Count > 0 ? names : throw new DatasetException($"{file}: the list is empty");
    }

    // The header reads "Bbox [x,y,w,h],,,": the four numbers are the columns from the one named "Bbox [x" on, in pixels of the distributed 1024 x 1024 pictures.
    private static ILookup<string, (string Finding, string Box)> Boxes(string file, RowReport report)
    {
        using TableFile table = TableFile.Open(file);
        int image = table.Column("Image Index"), finding = table.Column("Finding Label"), first = table.Column("Bbox [x");
        if (first + 4 > table.Columns.Count) throw new DatasetException($"{file}: expected four columns from 'Bbox [x' on, for x, y, width and height");
        var boxes = new List<(string Image, string Finding, string Box)>();
        foreach (TableRow row in table.Rows(report))
        {
            double[] box = [.. Enumerable.Range(first, 4).Select(column => double.TryParse(row[column], NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number : double.NaN)];
            if (box.Any(double.IsNaN)) report.Add($"{file}: line {row.Line}", "expected four numbers as the box");
            else boxes.Add((row[image], row[finding] == "Infiltrate" ? "Infiltration" : row[finding], FormattableString.Invariant($"[{box[0]:F0}, {box[1]:F0}, {box[0] + box[2]:F0}, {box[1] + box[3]:F0}]")));
        }

        return boxes.ToLookup(box => box.Image, box => (box.Finding, box.Box));
    }
}
