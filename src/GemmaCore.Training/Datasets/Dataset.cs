using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Datasets;

/// <summary>Opens a data set of any type. A new type is a class that turns its rows into <see cref="TrainingExample"/>s and one line here.</summary>
public static class Dataset
{
    /// <summary>Reads the rows of a data set, at most <see cref="DatasetConfiguration.MaxSamples"/>.</summary>
    /// <param name="configuration">Type, place and options.</param>
    /// <param name="split">FLARE: folder of the split; other types have one file.</param>
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
            _ => throw new DatasetException($"data set type '{configuration.Type}' is unknown; expected flare, messages or sharegpt"),
        };
        return configuration.MaxSamples > 0 ? [.. rows.Take(configuration.MaxSamples)] : rows;
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

    /// <summary>Sets rows aside for evaluation; the rest keeps its order.</summary>
    /// <param name="rows">All rows.</param>
    /// <param name="size">A share below 1 (rounded up), or a number of rows.</param>
    /// <param name="seed">Decides which rows.</param>
    /// <exception cref="DatasetException">No row would be left to train on.</exception>
    public static (IReadOnlyList<TrainingExample> Training, IReadOnlyList<TrainingExample> Evaluation) HoldOut(
        IReadOnlyList<TrainingExample> rows, double size, int seed)
    {
        ArgumentNullException.ThrowIfNull(rows);
        double count = size < 1 ? Math.Ceiling(rows.Count * size) : size;
        if (count >= rows.Count) throw new DatasetException($"val_size: {size} holds out {count} of {rows.Count} rows; nothing is left to train on");
        // An epoch number that no run reaches, so that the choice is unlike any epoch's order.
        HashSet<int> held = [.. EpochOrder.Of(rows.Count, seed, -1).Take((int)count)];
        return ([.. rows.Where((_, index) => !held.Contains(index))], [.. rows.Where((_, index) => held.Contains(index))]);
    }

    private static PromptSet Prompts(DatasetConfiguration configuration) => PromptSet.Of(configuration.Prompts).With(configuration.PromptOverrides);
}
