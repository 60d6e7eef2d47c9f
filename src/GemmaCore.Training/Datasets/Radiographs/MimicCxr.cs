using GemmaCore.Evaluation;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets.Tables;

namespace GemmaCore.Training.Datasets.Radiographs;

/// <summary>
/// MIMIC-CXR-JPG as PhysioNet distributes it: <c>files/p10/p10000032/s50414267/DICOM_ID.jpg</c> with <c>mimic-cxr-2.0.0-metadata.csv.gz</c>, <c>-split.csv.gz</c>
/// and <c>-chexpert.csv.gz</c> (or <c>-negbio</c>), unpacked or not, and the reports of MIMIC-CXR. One question for each study and task: reports and labels belong
/// to studies, not to pictures. Johnson et al., arXiv 1901.07042.
/// </summary>
internal sealed class MimicCxr
{
    // Unpacked tables first.
    private static readonly string[] Endings = ["csv", "csv.gz"];

    private static readonly string[] Blanks = ["labels", "view", "sections", .. ReportSections.Names];

    private static readonly Dictionary<TaskType, string> Usual = new()
    {
        [TaskType.ReportGeneration] = "Write the {sections} of the radiology report for this chest X-ray.",
        [TaskType.MultiLabelClassification] = Radiograph.LabelQuestion,
    };

    private sealed record Study(string Id, string Patient, int Line)
    {
        public List<(int Rank, string View, string Picture)> Pictures { get; } = [];

        public string Place => $"p{Patient[..2]}/p{Patient}/s{Id}";
    }

    private readonly DatasetConfiguration _configuration;
    private readonly string _split, _metadata;
    private readonly string? _labelFile;
    private readonly IReadOnlyList<TaskType> _tasks;
    private readonly MimicReports? _reports;
    private readonly TableQuestions _questions;
    private readonly RowReport _report;

    private MimicCxr(DatasetConfiguration configuration, string split, RowReport report)
    {
        (_configuration, _report) = (configuration, report);
        string root = configuration.Path;
        if (!Directory.Exists(root)) throw new DatasetException($"{root}: not found; expected the folder of MIMIC-CXR-JPG, which holds mimic-cxr-2.0.0-metadata.csv.gz");
        _tasks = Radiograph.Tasks(configuration, TaskType.ReportGeneration, TaskType.MultiLabelClassification);
        bool named = configuration.Tasks.Count > 0, labels = _tasks.Contains(TaskType.MultiLabelClassification);
        _reports = _tasks.Contains(TaskType.ReportGeneration) ? MimicReports.Find(configuration, named) : null;
        _metadata = Table(root, "metadata") ?? throw new DatasetException($"{root}: there is no mimic-cxr-2.0.0-metadata.csv or .csv.gz; it is part of MIMIC-CXR-JPG");
        _labelFile = labels ? Table(root, "chexpert") ?? Table(root, "negbio") : null;
        if (named && labels && _labelFile is null) throw new DatasetException($"{root}: there is no mimic-cxr-2.0.0-chexpert.csv or .csv.gz; it is part of MIMIC-CXR-JPG");
        if (_reports is null && _labelFile is null)
            throw new DatasetException($"{root}: neither reports (give dataset.reports) nor mimic-cxr-2.0.0-chexpert.csv were found; there is nothing to ask");
        _questions = new TableQuestions(configuration, "mimic-cxr", _metadata, Usual, Blanks);
        if (_labelFile is not null) Radiograph.RequireLabels(configuration, _questions);
        _split = Radiograph.Split(configuration, split, "train", "validate", "test", "all");
    }

    public static IEnumerable<TrainingExample> Read(DatasetConfiguration configuration, string split, RowReport report) => new MimicCxr(configuration, split, report).Rows();

    private IEnumerable<TrainingExample> Rows()
    {
        Dictionary<string, Study> studies = Studies(_configuration, _metadata, Members(_configuration.Path, _split), _report);
        Dictionary<string, (IReadOnlyList<string> Asked, IReadOnlyList<string> Present)> labels = Labels(_configuration, _labelFile, studies, _report);
        foreach (Study study in studies.Values)
        {
            if (_tasks.Contains(TaskType.ReportGeneration) && _reports is not null && Tried(study, () => Report(study, _reports)) is { } written) yield return written;
            if (_labelFile is not null && Tried(study, () => Labelled(study, labels)) is { } labelled) yield return labelled;
        }
    }

    private string Where(Study study) => $"{_metadata}: line {study.Line}: study s{study.Id}";

    private TrainingExample? Tried(Study study, Func<TrainingExample?> read)
    {
        try
        {
            return read();
        }
        catch (DatasetException error)
        {
            _report.Add(Where(study), error.Message);
            return null;
        }
    }

    private TrainingExample? Report(Study study, MimicReports reports)
    {
        Dictionary<string, string> sections = reports.Sections(study.Place);
        if (MimicReports.Answer(sections, _configuration.Sections) is { } answer) return Ask(study, TaskType.ReportGeneration, answer, [], sections);
        _report.LeaveOut($"studies whose report has no {string.Join(" or ", _configuration.Sections)}");
        return null;
    }

    private TrainingExample? Labelled(Study study, Dictionary<string, (IReadOnlyList<string> Asked, IReadOnlyList<string> Present)> labels)
    {
        if (labels.TryGetValue(study.Id, out (IReadOnlyList<string> Asked, IReadOnlyList<string> Present) known) && known.Asked.Count > 0)
        {
            bool quotes = _reports is not null && ReportSections.Names.Any(name => _questions.Asks(TaskType.MultiLabelClassification, name));
            return Ask(study, TaskType.MultiLabelClassification, CheXpertLabels.Answer(known.Present), known.Asked, quotes ? _reports!.Sections(study.Place) : []);
        }

        _report.LeaveOut("studies without labels");
        return null;
    }

    private TrainingExample Ask(Study study, TaskType task, string answer, IReadOnlyList<string> asked, Dictionary<string, string> sections)
    {
        string[] pictures = [.. study.Pictures.OrderBy(picture => picture.Rank).Select(picture => picture.Picture)];
        Dictionary<string, string> fields = ReportSections.Names.ToDictionary(name => name, name => sections.GetValueOrDefault(name, ""), StringComparer.OrdinalIgnoreCase);
        (fields["labels"], fields["sections"]) = (string.Join(", ", asked), string.Join(" and ", _configuration.Sections));
        fields["view"] = study.Pictures.MinBy(picture => picture.Rank).View;
        return _questions.Word(new TableQuestion(
            $"{Where(study)} ({task.Name()})", _split, $"s{study.Id}", "0", task, Located(_configuration.Path, study, pictures), fields, answer)
        {
            Patient = study.Patient,
            Labels = asked,
        });
    }

    // The number in the name is the version's.
    private static string? Table(string root, string what) =>
        Endings.SelectMany(ending => Directory.EnumerateFiles(root, $"mimic-cxr-*-{what}.{ending}").Order(StringComparer.Ordinal)).FirstOrDefault();

    // Pictures of the split; null for all.
    private static HashSet<string>? Members(string root, string split)
    {
        if (split == "all") return null;
        string file = Table(root, "split") ?? throw new DatasetException($"{root}: there is no mimic-cxr-2.0.0-split.csv or .csv.gz; it is part of MIMIC-CXR-JPG (split: all needs none)");
        using TableFile table = TableFile.Open(file);
        int picture = table.Column("dicom_id"), member = table.Column("split");
        return [.. table.Rows(new RowReport(Skip: false)).Where(row => row[member] == split).Select(row => row[picture])];
    }

    private static Dictionary<string, Study> Studies(DatasetConfiguration configuration, string file, HashSet<string>? members, RowReport report)
    {
        using TableFile table = TableFile.Open(file);
        int picture = table.Column("dicom_id"), patient = table.Column("subject_id"), study = table.Column("study_id"), view = table.Column("ViewPosition");
        var studies = new Dictionary<string, Study>(StringComparer.Ordinal);
        foreach (TableRow row in table.Rows(report))
        {
            int rank = Radiograph.Rank(configuration, row[view]);
            if (rank < 0 || (members is not null && !members.Contains(row[picture]))) continue;
            if (row[patient].Length < 2 || row[study].Length == 0 || row[picture].AsSpan().ContainsAny('/', '\\'))
            {
                report.Add($"{file}: line {row.Line}", "dicom_id, subject_id or study_id is no identifier");
                continue;
            }

            if (!studies.TryGetValue(row[study], out Study? known)) studies.Add(row[study], known = new Study(row[study], row[patient], row.Line));
            known.Pictures.Add((rank, row[view], row[picture]));
        }

        return studies;
    }

    private static Dictionary<string, (IReadOnlyList<string> Asked, IReadOnlyList<string> Present)> Labels(
        DatasetConfiguration configuration, string? file, Dictionary<string, Study> studies, RowReport report)
    {
        var labels = new Dictionary<string, (IReadOnlyList<string> Asked, IReadOnlyList<string> Present)>(StringComparer.Ordinal);
        if (file is null) return labels;
        using TableFile table = TableFile.Open(file);
        int study = table.Column("study_id");
        var reader = new CheXpertLabels(table, configuration.Labels, configuration.Uncertainty);
        foreach (TableRow row in table.Rows(report))
        {
            if (!studies.ContainsKey(row[study])) continue;
            try
            {
                labels[row[study]] = reader.Read(row);
            }
            catch (DatasetException error)
            {
                report.Add($"{file}: line {row.Line}", error.Message);
            }
        }

        return labels;
    }

    private static IReadOnlyList<string> Located(string root, Study study, string[] pictures)
    {
        string[] folders = [Path.Combine(root, "files", study.Place), Path.Combine(root, study.Place)];
        return
        [
            .. pictures.Select(picture => folders.Select(folder => Path.GetFullPath(Path.Combine(folder, picture + ".jpg"))).FirstOrDefault(File.Exists)
                ?? throw new DatasetException($"image 'files/{study.Place}/{picture}.jpg' not found")),
        ];
    }
}
