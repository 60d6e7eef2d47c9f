using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets.Radiographs;
using GemmaCore.Training.Datasets.Tables;

namespace GemmaCore.Training.Datasets;

/// <summary>Opens a data set of any type. A new type is a class that turns its rows into <see cref="TrainingExample"/>s and one line here.</summary>
public static class Dataset
{
    /// <summary>The types of data sets.</summary>
    public static IReadOnlyList<string> Types { get; } = ["flare", "messages", "sharegpt", "mimic-cxr", "chestxray14", "chexpert", "csv"];

    /// <summary>Reads the rows of a data set, at most <see cref="DatasetConfiguration.MaxSamples"/>.</summary>
    /// <param name="configuration">Type, place and options.</param>
    /// <param name="split">Name of the split; types that are one file have none.</param>
    /// <param name="report">What happens with bad rows.</param>
    /// <exception cref="DatasetException">Nothing usable is there, or a bad row stops the run.</exception>
    public static IReadOnlyList<TrainingExample> Open(DatasetConfiguration configuration, string split, RowReport report)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        IReadOnlyList<TrainingExample> rows = configuration.Type switch
        {
            "flare" => FlareDataset.Read(configuration.Path, split, configuration.Tasks, Prompts(configuration), report, configuration.MaxImagesPerSample),
            "messages" => ConversationDatasets.ReadMessages(configuration.Path, report),
            "sharegpt" => ConversationDatasets.ReadShareGpt(configuration.Path, report),
            "mimic-cxr" => Table(MimicCxr.Read),
            "chestxray14" => Table(ChestXray14.Read),
            "chexpert" => Table(CheXpert.Read),
            "csv" => Table(CsvDataset.Read),
            _ => throw new DatasetException($"data set type '{configuration.Type}' is unknown; expected {string.Join(", ", Types.SkipLast(1))} or {Types[^1]}"),
        };
        if (configuration.MaxSamples > 0) rows = [.. rows.Take(configuration.MaxSamples)];
        if (configuration.BoxFormat == "box_2d") rows = MedGemmaBoxes.Of(rows, configuration.PadsPictures, report);
        return configuration.Cut is { } cut ? CutPictures.Of(rows, cut, configuration.TileRows, report) : rows;

        // Tables can be long: reading ends with the last row that is wanted.
        IReadOnlyList<TrainingExample> Table(Func<DatasetConfiguration, string, RowReport, IEnumerable<TrainingExample>> read)
        {
            IEnumerable<TrainingExample> all = read(configuration, split, report);
            TrainingExample[] chosen = [.. configuration.MaxSamples > 0 ? all.Take(configuration.MaxSamples) : all];
            return chosen.Length > 0 ? chosen : throw new DatasetException($"{configuration.Path}: there are no usable rows{(split.Length > 0 ? $" in split '{split}'" : "")}{Views(configuration)}");
        }
    }

    /// <summary>Rows for training and rows for evaluation, as a configuration asks for them; the second list is empty when nothing is evaluated.</summary>
    /// <exception cref="DatasetException">Nothing usable is there, or a bad row stops the run.</exception>
    public static (IReadOnlyList<TrainingExample> Training, IReadOnlyList<TrainingExample> Evaluation) Open(TrainingConfiguration configuration, RowReport report)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        IReadOnlyList<TrainingExample> training = Open(configuration.Dataset, configuration.Dataset.Split, report), evaluation = [];
        if (configuration.ValSize > 0) (training, evaluation) = HoldOut(training, configuration.ValSize, configuration.DataSeed ?? configuration.Seed);
        if (!configuration.Evaluates) return (training, []);
        if (configuration.ValSize <= 0)
        {
            DatasetConfiguration source = configuration.EvalDataset ?? configuration.Dataset with { MaxSamples = 0 };
            evaluation = Open(source, source.EvalSplit, report);
        }

        return (training, configuration.MaxEvalSamples > 0 ? [.. evaluation.Take(configuration.MaxEvalSamples)] : evaluation);
    }

    /// <summary>Sets rows aside for evaluation; the rest keeps its order. Rows of one patient stay together, so that nobody is trained and evaluated on.</summary>
    /// <param name="rows">All rows.</param>
    /// <param name="size">A share below 1 (rounded up), or a number of rows; with patients at least so many.</param>
    /// <param name="seed">Decides which rows.</param>
    /// <exception cref="DatasetException">No row would be left to train on.</exception>
    public static (IReadOnlyList<TrainingExample> Training, IReadOnlyList<TrainingExample> Evaluation) HoldOut(
        IReadOnlyList<TrainingExample> rows, double size, int seed)
    {
        ArgumentNullException.ThrowIfNull(rows);
        double count = size < 1 ? Math.Ceiling(rows.Count * size) : size;
        if (count >= rows.Count) throw new DatasetException($"val_size: {size} holds out {count} of {rows.Count} rows; nothing is left to train on");
        int[][] groups = [.. rows.Select((row, index) => (Key: row.Patient.Length > 0 ? "p" + row.Patient : FormattableString.Invariant($"r{index}"), index)).GroupBy(row => row.Key, row => row.index).Select(group => group.ToArray())];
        var held = new HashSet<int>();
        // An epoch number that no run reaches, so that the choice is unlike any epoch's order.
        foreach (int group in EpochOrder.Of(groups.Length, seed, -1))
        {
            if (held.Count >= (int)count) break;
            held.UnionWith(groups[group]);
        }

        if (held.Count == rows.Count) throw new DatasetException($"val_size: {size} holds out all {rows.Count} rows, because rows of one patient stay together; nothing is left to train on");
        return ([.. rows.Where((_, index) => !held.Contains(index))], [.. rows.Where((_, index) => held.Contains(index))]);
    }

    private static string Views(DatasetConfiguration configuration) => configuration.Views is [] or ["all"] ? "" : $" of views {string.Join(", ", configuration.Views)}";

    private static PromptSet Prompts(DatasetConfiguration configuration) => PromptSet.Of(configuration.Prompts, configuration.ForAnswers).With(configuration.PromptOverrides);
}
