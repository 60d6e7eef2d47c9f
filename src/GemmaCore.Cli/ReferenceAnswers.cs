using System.CommandLine;
using GemmaCore.Generation;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Cli;

/// <summary>Has a model answer the questions of references, so that <c>eval</c> can score it in one go; the answers are kept beside the scores.</summary>
internal sealed class ReferenceAnswers
{
    private const string FileName = "predictions.jsonl";

    private readonly Option<string> _prompts = new("--prompts") { Description = "with a MODEL: question, flare25 or flare26", DefaultValueFactory = _ => "flare26" };
    private readonly Option<int> _batch = new("--batch") { Description = "with a MODEL: questions answered together", DefaultValueFactory = _ => 8 };
    private readonly Option<int?> _maxTokens = new("--max-tokens") { Description = "with a MODEL: most tokens of an answer" };
    private readonly Option<bool> _scores = new("--label-scores") { Description = "with a MODEL: how likely each option is, for AUC and calibration" };

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_prompts, _batch, _maxTokens, _scores]) command.Add(option);
    }

    /// <summary>Answers and says where the answers are.</summary>
    public string Answer(ParseResult parsed, ModelOptions options, IReadOnlyList<DataSource> references, string[] splits, string[] datasets, string? folder)
    {
        if (folder is null) throw new UsageException("--out: a MODEL's answers are kept beside the scores; name a folder");
        PromptSet prompts = PromptSet.Of(parsed.GetValue(_prompts)!, answers: true);
        var report = new RowReport(references.Any(source => source.SkipsBadRows));
        TrainingExample[] rows = [.. references.SelectMany(source => source.Rows(splits, datasets, prompts, report))];
        PictureSettings[] pictures = [.. references.Select(source => options.Pictures(parsed, source.Pictures)).Distinct()];
        if (pictures.Length > 1)
            throw new UsageException("--ref: files with different image_window, resize_mode or exif_orientation cannot be answered together; evaluate them one by one, or say --resize-mode or --exif-orientation");
        foreach (DataSource source in references) options.Pictures(parsed, source.Pictures).Check(null, source.Configuration);
        using GemmaModel model = options.Load(parsed);
        string file = Path.Combine(folder, FileName);
        bool whole = new DatasetAnswers(model, (pictures.FirstOrDefault() ?? new PictureSettings()).Apply(model.Prompts), parsed.GetValue(_batch), parsed.GetValue(_maxTokens), parsed.GetValue(_scores) ? new LabelQuestions([]) : null, report).Fill(file, rows);
        return whole ? file : throw new InvalidOperationException($"interrupted; {file} holds the answers so far, the same command goes on");
    }
}
