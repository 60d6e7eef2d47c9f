using GemmaCore.Inputs;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training.Tests.Datasets;

/// <summary>Short words for what tests of data sets ask of rows.</summary>
internal static class Rows
{
    /// <summary>The rows of a data set, described as a configuration file does.</summary>
    public static IReadOnlyList<TrainingExample> Open(string dataset, string split, RowReport? report = null) =>
        Dataset.Open(ConfigurationReader.Read($"dataset: {dataset}", []).Configuration.Dataset, split, report ?? new RowReport(false));

    /// <summary>What is wrong with a data set.</summary>
    public static string Refused(string dataset, string split) => Assert.Throws<DatasetException>(() => Open(dataset, split)).Message;

    public static string Question(this TrainingExample row) => string.Concat(row.Prompt[^1].Content.OfType<TextPart>().Select(part => part.Text));

    public static string[] Pictures(this TrainingExample row) => [.. row.Prompt[^1].Content.OfType<ImagePart>().Select(part => Path.GetFileName(part.Image.Path!))];
}
