using System.CommandLine;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore predict</c>: answers for a whole data set.</summary>
internal static class PredictCommand
{
    public static Command Create()
    {
        var command = new Command("predict", """
            Answer the questions of a data set. It is a FLARE folder, a question file, rows of 'flare convert', or a YAML file with a dataset block of any type,
            as 'train' reads it (docs/datasets.md). The output is a JSON array of the input rows with Answer filled in, or
            lines of uid and prediction where its name ends in .jsonl; a run that was interrupted goes on where it stopped.

            Examples:
              gemmacore predict demo --data demo --dataset phantom_cells --prompts question --out predictions.json
              gemmacore predict demo --data demo --dataset phantom_brain --prompts question --out predictions.json --batch 16 --label-scores
            """);
        var model = new ModelOptions();
        var data = new Option<string>("--data") { Description = "FLARE folder, question file, converted rows, YAML file, or demo", Required = true };
        var output = new Option<string>("--out") { Description = "file to write", Required = true };
        var split = new Option<string?>("--split") { Description = "split to answer; validation-public, or the YAML file's eval_split, where not given" };
        var settings = new Option<string[]>("--set") { Description = "key=value for the YAML file, e.g. dataset.path=FOLDER; may be repeated" };
        var datasets = new Option<string[]>("--dataset") { Description = "data set to answer; may be repeated" };
        var prompts = new Option<string>("--prompts") { Description = "question, flare25 or flare26; a YAML file says so itself", DefaultValueFactory = _ => "flare26" };
        var batch = new Option<int>("--batch") { Description = "questions answered together", DefaultValueFactory = _ => 8 };
        var maxTokens = new Option<int?>("--max-tokens") { Description = "most tokens of an answer; 256, and 1024 for instance detection, where not given" };
        var scores = new Option<bool>("--label-scores") { Description = "also write how likely each option or label is: ln p as \"scores\"" };
        var labels = new Option<string[]>("--label") { Description = "label to score where a question lists no options; may be repeated" };
        var view = new PictureOptions(single: false);
        var cuts = new CutOptions(single: false);
        var badRow = new Option<string?>("--on-bad-row") { Description = "stop or skip; what the YAML file says, else stop, where not given" };
        badRow.AcceptOnlyFromAmong("stop", "skip");
        model.AddTo(command);
        foreach (Option option in (Option[])[data, settings, output, split, datasets, prompts, batch, maxTokens, scores, labels, badRow]) command.Add(option);
        view.AddTo(command);
        cuts.AddTo(command);
        command.SetAction(parsed =>
        {
            string source = ModelLocation.ResolveData(parsed.GetValue(data)!);
            DataSource place = DataSource.Of(source, parsed.GetValue(settings) ?? []);
            var report = new RowReport(parsed.GetValue(badRow) is { } wish ? wish == "skip" : place.SkipsBadRows);
            string[] splits = parsed.GetValue(split) is { } one ? [one] : DataSource.IsConfiguration(source) ? [] : ["validation-public"];
            IReadOnlyList<TrainingExample> rows = place.Rows(splits, parsed.GetValue(datasets) ?? [], PromptSet.Of(parsed.GetValue(prompts)!, answers: true), report);
            PictureSettings pictures = model.Pictures(parsed, place.Pictures);
            if (view.Window(parsed) is { } window) pictures = pictures with { Window = window };
            PictureCut? cut = cuts.Read(parsed);
            pictures.Check(cut, place.Configuration);
            if (cut is not null) rows = CutPictures.Of(rows, cut, cuts.AsRows(parsed), report);
            string file = parsed.GetValue(output)!;
            LabelQuestions? questions = parsed.GetValue(scores) ? new LabelQuestions(parsed.GetValue(labels) ?? []) : null;
            if (questions is null && parsed.GetValue(labels) is { Length: > 0 }) throw new UsageException("--label goes with --label-scores");
            using GemmaModel loaded = model.Load(parsed);
            foreach (TrainingExample row in rows) CutOptions.RequireRoom(loaded, row.Prompt.SelectMany(message => message.Content));
            bool whole = new DatasetAnswers(loaded, pictures.Apply(loaded.Prompts), parsed.GetValue(batch), parsed.GetValue(maxTokens), questions, report).Fill(file, rows);
            Console.WriteLine(file);
            return whole ? 0 : 1;
        });
        return command;
    }
}
