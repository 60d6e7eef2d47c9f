using GemmaCore.Evaluation;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Datasets.Tables;

/// <summary>A table of one's own (<c>type: csv</c>): one question a row. Columns have the names below or those that <c>columns:</c> gives.</summary>
internal static class CsvDataset
{
    // Everything that a column can be; only image and question are needed, and a question can also stand in the configuration.
    private static readonly string[] Roles = ["image", "question", "answer", "task", "modality", "options", "labels", "split", "id", "patient"];

    private const char Separator = '|';

    public static IEnumerable<TrainingExample> Read(DatasetConfiguration configuration, string split, RowReport report)
    {
        string file = configuration.Path;
        if (configuration.Columns.Keys.FirstOrDefault(role => !Roles.Contains(role)) is { } unknown)
            throw new DatasetException($"dataset.columns: '{unknown}' is unknown; did you mean {Spelling.Nearest(unknown, Roles)}? (there are {string.Join(", ", Roles)})");
        TaskType? usual = configuration.Task.Length == 0 ? null : TaskTypes.Parse(configuration.Task)
            ?? throw new DatasetException($"dataset.task: '{configuration.Task}' is unknown; expected one of {TaskTypes.Names}");
        char? delimiter = configuration.Delimiter switch { "" => null, "tab" or "\\t" or "\t" => '\t', [char one] => one, var other => throw new DatasetException($"dataset.delimiter: expected one character or tab, got '{other}'") };
        using TableFile table = TableFile.Open(file, delimiter);
        Dictionary<string, int> columns = Columns(configuration, table);
        string dataset = Path.GetFileName(file).Split('.')[0];
        var questions = new TableQuestions(configuration, dataset, file, new Dictionary<TaskType, string>(), [.. table.Columns.Where(column => column.Length > 0)]);
        if (!columns.ContainsKey("question") && configuration.Questions.Count == 0)
            _ = table.Column("question", "nothing says what to ask (columns: { question: NAME } or questions: { TASK: TEXT }); ");
        if (split.Length > 0 && !columns.ContainsKey("split")) _ = table.Column("split", $"split '{split}' is wanted, but ");
        string folder = configuration.ImageRoot.Length > 0 ? configuration.ImageRoot : Path.GetDirectoryName(Path.GetFullPath(file))!;
        if (!Directory.Exists(folder)) throw new DatasetException($"dataset.image_root: {folder}: not found");
        var images = new FlareImages(folder);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var splits = new SortedSet<string>(StringComparer.Ordinal);
        bool any = false;
        foreach (TableRow row in table.Rows(report))
        {
            string Value(string role) => columns.TryGetValue(role, out int column) ? row[column] : "";
            string named = Value("split");
            splits.Add(named);
            if (split.Length > 0 && named != split) continue;
            any = true;
            TrainingExample? example = null;
            try
            {
                example = Example(Value, row, named);
                if (!seen.Add(example.Uid)) throw new DatasetException($"another row of the file has this id, '{Value("id")}'");
            }
            catch (DatasetException error)
            {
                report.Add($"{file}: line {row.Line}", error.Message);
                continue;
            }

            yield return example;
        }

        if (!any && split.Length > 0) throw new DatasetException($"{file}: no row is of split '{split}'; column '{table.Columns[columns["split"]]}' holds {string.Join(", ", splits)}");

        TrainingExample Example(Func<string, string> value, TableRow row, string named)
        {
            TaskType? task = value("task").Length == 0 ? usual : TaskTypes.Parse(value("task")) ?? throw new DatasetException($"task '{value("task")}' is unknown; expected one of {TaskTypes.Names}");
            if (task is null && configuration.Questions.Count == 1) task = TaskTypes.Parse(configuration.Questions.Keys.Single());
            string text = value("question");
            if (text.Length == 0 && !(task is { } known && questions.Has(known))) throw new DatasetException("there is no question");
            string[] names = value("image").Split(Separator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            string[] paths = [.. names.Select(name => images.Find(name) ?? throw new DatasetException($"image '{name}' not found in {folder}"))];
            string id = value("id").Length > 0 ? value("id") : names.Length > 0 ? Path.GetFileNameWithoutExtension(names[0]) : "row";
            // Without an id the line tells rows about one picture apart.
            string place = value("id").Length > 0 ? "0" : FormattableString.Invariant($"{row.Line}");
            Dictionary<string, string> fields = new(StringComparer.OrdinalIgnoreCase);
            for (int i = 0; i < table.Columns.Count; i++) fields.TryAdd(table.Columns[i], row[i]);
            return questions.Word(new TableQuestion($"{file}: line {row.Line}", named.Length > 0 ? named : "all", id, place, task, paths, fields, columns.ContainsKey("answer") ? value("answer") : null)
            {
                Text = text.Length > 0 ? text : null,
                Modality = value("modality"),
                Options = value("options"),
                Patient = value("patient"),
                Labels = value("labels").Split(Separator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries),
            });
        }
    }

    // Named ones must be there; the others count where a column has their name.
    private static Dictionary<string, int> Columns(DatasetConfiguration configuration, TableFile table)
    {
        var columns = new Dictionary<string, int>();
        foreach (string role in Roles)
        {
            if (configuration.Columns.TryGetValue(role, out string? name)) columns[role] = table.Column(name, $"columns.{role}: ");
            else if (table.Find(role) is { } column) columns[role] = column;
        }

        return columns.ContainsKey("image") ? columns : throw new DatasetException(
            $"{table.Path}: there is no column 'image'; say which one names the pictures: columns: {{ image: NAME }}{(Spelling.Nearest("image", table.Columns) is { Length: > 0 } near ? $"; did you mean '{near}'?" : "")} (columns: {string.Join(", ", table.Columns)})");
    }
}
