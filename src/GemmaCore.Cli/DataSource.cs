using GemmaCore.Evaluation;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Cli;

/// <summary>
/// What a data argument means where no configuration is at hand: FLARE (a folder, a question file, converted rows), or a YAML file with a <c>dataset:</c> block of any
/// type, such as a training configuration.
/// </summary>
internal sealed class DataSource
{
    private readonly string _place;
    private readonly DatasetConfiguration? _dataset;

    private DataSource(string place, DatasetConfiguration? dataset, bool skipsBadRows) => (_place, _dataset, SkipsBadRows) = (place, dataset, skipsBadRows);

    /// <summary>True where a YAML file says <c>on_bad_row: skip</c>.</summary>
    public bool SkipsBadRows { get; }

    /// <summary>A YAML file's data set; null for FLARE's files.</summary>
    public DatasetConfiguration? Configuration => _dataset;

    /// <summary>What a YAML file says about pictures.</summary>
    public PictureSettings Pictures { get; private init; } = new();

    /// <summary>True for the name of a YAML file.</summary>
    public static bool IsConfiguration(string place) => place.EndsWith(".yaml", StringComparison.OrdinalIgnoreCase) || place.EndsWith(".yml", StringComparison.OrdinalIgnoreCase);

    /// <summary>Opens a source.</summary>
    /// <param name="place">What the user wrote, <c>demo</c> resolved.</param>
    /// <param name="settings"><c>key=value</c> for a YAML file, as <c>train</c> takes them.</param>
    /// <exception cref="UsageException">Settings without a YAML file, or one that has no data set.</exception>
    public static DataSource Of(string place, IReadOnlyList<string> settings)
    {
        if (!IsConfiguration(place)) return settings.Count == 0 ? new DataSource(place, null, false) : throw new UsageException($"--set {settings[0]}: goes with a YAML file, not with {place}");
        if (!File.Exists(place)) throw new UsageException($"{place}: not found; expected a YAML file with a dataset block");
        TrainingConfiguration configuration = ConfigurationReader.Read(File.ReadAllText(place), settings).Configuration;
        DatasetConfiguration dataset = configuration.Dataset;
        return dataset.Path.Length > 0
            ? new DataSource(place, ModelLocation.Resolve(dataset), configuration.SkipBadRows) { Pictures = PictureSettings.Of(configuration) }
            : throw new UsageException($"{place}: there is no dataset.path; give it there or with --set dataset.path=FOLDER");
    }

    /// <summary>The rows of some splits.</summary>
    /// <param name="splits">Splits; empty for the one that a YAML file evaluates on, and for FLARE all evaluated ones that are there.</param>
    /// <param name="datasets">FLARE: data sets to read; empty for all.</param>
    /// <param name="prompts">FLARE: how questions become prompts; a YAML file says so itself.</param>
    /// <param name="report">What happens with bad rows.</param>
    public IReadOnlyList<TrainingExample> Rows(IReadOnlyList<string> splits, IReadOnlyList<string> datasets, PromptSet prompts, RowReport report)
    {
        if (_dataset is { } dataset) return Configured(dataset, splits.Count > 0 ? splits : [dataset.EvalSplit], datasets, report);
        if (File.Exists(_place)) return FlareDataset.Read(_place, "", datasets, prompts, report);
        IEnumerable<string> wanted = splits.Count > 0 ? splits : FlareSplits.Evaluated.Where(split => FlareFiles.Find(_place, split).Count > 0);
        return [.. wanted.SelectMany(split => FlareDataset.Read(_place, split, datasets, prompts, report))];
    }

    private TrainingExample[] Configured(DatasetConfiguration dataset, IReadOnlyList<string> splits, IReadOnlyList<string> datasets, RowReport report)
    {
        dataset = dataset with { ForAnswers = true };
        if (dataset.Type == "flare" && datasets.Count > 0) dataset = dataset with { Tasks = datasets };
        TrainingExample[] rows = [.. splits.SelectMany(split => Dataset.Open(dataset, split, report))];
        if (datasets.Count == 0) return rows;
        TrainingExample[] chosen = [.. rows.Where(row => datasets.Contains(row.Dataset))];
        string[] known = [.. rows.Select(row => row.Dataset).Distinct()];
        return chosen.Length > 0 ? chosen : throw new UsageException($"--dataset {datasets[0]}: {_place} describes {string.Join(", ", known)}");
    }

    /// <summary>The rows of a YAML file as references to score against.</summary>
    public IReadOnlyList<Reference> References(IReadOnlyList<string> splits, RowReport report) =>
    [
        // Whatever a model is taught to write, boxes are scored in pixels; and however pictures are cut, only tiles that are rows change what there is to answer.
        .. new DataSource(_place, _dataset! with { BoxFormat = "as_is", Crops = [], Tiles = _dataset.TileRows ? _dataset.Tiles : new Dictionary<string, string>() }, SkipsBadRows).Rows(splits, [], PromptSet.Question, report).Select(row => new Reference(
            new EvaluationRow(
                row.Uid, row.Row, FlareSplits.Published(row.Uid.Split(':')[0]), row.Dataset, row.Modality,
                row.Task ?? throw new EvaluationException($"{row.Row}: the row has no task; expected one of {TaskTypes.Names} (type csv: dataset.task or a column of tasks)"),
                row.IsInstanceDetection, row.Answer ?? "", null),
            row.Uid)),
    ];
}
