using GemmaCore.Inputs;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training.Planning;

/// <summary>The samples that a run will meet, for what has to be known of them beforehand.</summary>
public sealed class RunContent
{
    private readonly TrainingConfiguration _configuration;
    private readonly EncodedDataset _data;
    private readonly EncodedDataset? _evaluation;
    private readonly IReadOnlyList<int> _rows;

    /// <summary>The rows that the steps of a configuration take, and all rows of its evaluation.</summary>
    public RunContent(TrainingConfiguration configuration, EncodedDataset data, EncodedDataset? evaluation)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(data);
        (_configuration, _data, _evaluation) = (configuration, data, evaluation);
        _rows = new RunOrder(configuration, data.Count).Rows();
    }

    /// <summary>The largest sample: by <c>max_length</c> where it is given, else by looking at all samples.</summary>
    /// <param name="prompts">How rows are encoded.</param>
    /// <param name="rows">All rows as they are in the data sets.</param>
    public SampleShape LargestSample(PromptEncoder prompts, IEnumerable<TrainingExample> rows)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        ArgumentNullException.ThrowIfNull(rows);
        // Crops of long pictures are not known before the pictures are.
        if (_configuration.MaxLength > 0 && prompts.PanAndScan is null)
        {
            int[] pictures = [.. rows.Select(row => row.Prompt.Sum(message => message.Content.OfType<ImagePart>().Count()))];
            int fitting = prompts.TokensPerImage == 0 ? 0 : Math.Min(pictures.Max(), (_configuration.MaxLength - 2) / prompts.TokensPerImage);
            // Text counts in the loss and pictures do not: most of it where there are fewest of them.
            SampleShape text = SampleShape.OfLength(_configuration.MaxLength, Math.Min(fitting, pictures.Min()), prompts.TokensPerImage);
            return text with { Images = fitting };
        }

        SampleShape largest = SampleShape.Largest(_rows.SelectMany(row => _data.Take([row])).Concat(EvaluationSamples()));
        // No usable sample: the first step says so better than a plan could.
        return largest.Tokens == 0 ? SampleShape.OfLength(2, 0, 0) : largest;
    }

    /// <summary>Shows every sample with its pixels; it has none afterwards. For <see cref="TrainingStage.EncodePictures"/>.</summary>
    public void ShowPictures(Action<EncodedExample> use)
    {
        _data.EncodePictures(_rows, use);
        if (_evaluation is not null) _evaluation.EncodePictures(Enumerable.Range(0, _evaluation.Count), use);
    }

    private IEnumerable<EncodedExample> EvaluationSamples() =>
        _evaluation is null ? [] : Enumerable.Range(0, _evaluation.Count).SelectMany(row => _evaluation.Take([row]));
}
