using System.CommandLine;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Evaluation;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore eval</c>: metrics of predictions against references.</summary>
internal static class EvalCommand
{
    private const int DefaultResamples = 1000, DefaultSeed = 42;

    public static Command Create()
    {
        var command = new Command("eval", """
            Score predictions against references by the rules of FLARE. References are rows of 'flare convert', question files with answers, folders of either, or a YAML file
            with a dataset block of any type (docs/datasets.md); predictions are JSON lines or an array of uid and prediction, an object of uid and text, or the output of 'predict'. With a MODEL instead of --pred its
            questions are answered first. --out DIR writes scores.json, details.json, rows.csv, metrics.csv and report.html.

            Examples:
              gemmacore eval --pred predictions.json --ref demo --dataset phantom_brain --out evaluation
              gemmacore eval demo --ref demo --dataset phantom_brain --prompts question --label-scores --out evaluation
            """);
        var rules = new Option<string>("--rules") { Description = "flare26 (2026 baseline), official (the challenge) or flare25 (2025 baseline)", DefaultValueFactory = _ => "flare26" };
        rules.AcceptOnlyFromAmong([.. ScoringRules.All.Select(one => one.Name)]);
        var predictions = new Option<string[]>("--pred") { Description = "predictions to score; may be repeated" };
        var references = new Option<string[]>("--ref") { Description = "references: file, folder, YAML file, or demo; may be repeated", Required = true };
        var settings = new Option<string[]>("--set") { Description = "key=value for the YAML file of --ref, e.g. dataset.path=FOLDER; may be repeated" };
        var compared = new Option<string[]>("--compare") { Description = "other predictions of the same rows: gives the difference and its interval" };
        var splits = new Option<string[]>("--split") { Description = "split of a --ref folder; may be repeated; all evaluated ones where not given" };
        var datasets = new Option<string[]>("--dataset") { Description = "data set to score; may be repeated" };
        var output = new Option<string?>("--out") { Description = "folder to write" };
        var allowMissing = new Option<bool>("--allow-missing-predictions") { Description = "score rows without a prediction as empty answers" };
        var resamples = new Option<int>("--bootstrap") { Description = "resamples for 95 % intervals; 0 for none", DefaultValueFactory = _ => DefaultResamples };
        var seed = new Option<int>("--seed") { Description = "seed of the resamples", DefaultValueFactory = _ => DefaultSeed };
        var text = new Option<string?>("--text") { Description = "score reports by their words too: rouge,bleu,cider,meteor-lite" };
        var labelThreshold = new Option<double>("--label-threshold") { Description = "probability from which on a label counts as said, for sensitivity and specificity", DefaultValueFactory = _ => 0.5 };
        var mask = new Option<bool>("--mask") { Description = "--ref and --pred are folders of masks or polygons, or --pred a file of answers: Dice, IoU, cIoU" };
        var threshold = new Option<double>("--mask-threshold") { Description = "share of white from which on a pixel belongs to a mask", DefaultValueFactory = _ => 0.5 };
        var classes = new Option<bool>("--mask-classes") { Description = "grey values are class numbers, 0 is background" };
        var json = new Option<bool>("--json") { Description = "one JSON document instead of a table" };
        foreach (Option option in (Option[])[rules, predictions, references, settings, compared, splits, datasets, output, allowMissing, resamples, seed, text, labelThreshold, mask, threshold, classes, json]) command.Add(option);
        var model = new ModelOptions();
        model.Model.Arity = ArgumentArity.ZeroOrOne;
        model.Model.Description = "answers the references' questions first: model folder, hub id in the cache, or demo; instead of --pred";
        model.AddTo(command);
        var answering = new ReferenceAnswers();
        answering.AddTo(command);
        var judge = new ReportJudge();
        judge.AddTo(command);
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(labelThreshold) is not (> 0 and < 1)) throw new UsageException("--label-threshold: expected a probability between 0 and 1");
            if (parsed.GetValue(resamples) is < 0 or > 100_000) throw new UsageException("--bootstrap: expected 0 to 100000 resamples");
            string[] places = [.. parsed.GetValue(references)!.Select(ModelLocation.ResolveData)], given = parsed.GetValue(predictions) ?? [];
            string? folder = parsed.GetValue(output);
            if (folder is not null && File.Exists(folder)) throw new UsageException($"--out {folder}: this is a file; a folder is written");
            if (parsed.GetValue(model.Model) is null == (given.Length == 0)) throw new UsageException("expected either a MODEL that answers or --pred with predictions");
            if (parsed.GetValue(mask))
            {
                if (parsed.GetValue(references) is not [var right] || given is not [var predicted]) throw new UsageException("--mask: expected one folder with --ref and one with --pred");
                if (parsed.GetValue(threshold) is not (> 0 and <= 1)) throw new UsageException("--mask-threshold: expected a number above 0 and up to 1");
                return Masks(new MaskEvaluation(parsed.GetValue(threshold), parsed.GetValue(classes), parsed.GetValue(allowMissing)).Score(right, predicted), folder, parsed.GetValue(json));
            }

            ScoringRules chosen = ScoringRules.All.First(one => one.Name == parsed.GetValue(rules));
            if (parsed.GetValue(text) is { } words) chosen = chosen.With(new TextScoring(Words(words)));
            judge.Check(parsed, folder, parsed.GetValue(compared) is { Length: > 0 }, parsed.GetValue(text) is not null);
            DataSource[] sources = Sources(places, parsed.GetValue(settings) ?? []);
            ReferenceSet expected = Chosen(References(places, sources, parsed.GetValue(splits) ?? []), parsed.GetValue(datasets) ?? []);
            if (given.Length == 0) given = [answering.Answer(parsed, model, sources, parsed.GetValue(splits) ?? [], parsed.GetValue(datasets) ?? [], folder)];
            bool lenient = chosen.SkipsMissing || parsed.GetValue(allowMissing);
            MatchedRows rows = RowMatching.Match(expected, PredictionReader.Read(given), lenient);
            if (judge.Scoring(parsed, model, rows, folder, out bool stopped) is { } verdicts) chosen = chosen.With(verdicts);
            if (stopped) return 0;
            string[] others = parsed.GetValue(compared) ?? [];
            MatchedRows? otherRows = others.Length > 0 ? RowMatching.Match(expected, PredictionReader.Read(others), lenient) : null;
            EvaluationResult result = new Evaluator(chosen, parsed.GetValue(resamples), parsed.GetValue(seed)).Score(rows, otherRows);
            result = result with { LabelThreshold = parsed.GetValue(labelThreshold), Notes = [.. result.Notes, .. Unconverted(rows)] };
            foreach (string note in result.Notes) Console.Error.WriteLine("note: " + note);
            JsonObject details = ScoreFiles.Details(result, new JsonObject
            {
                ["predictions"] = Names(given),
                ["references"] = Names(parsed.GetValue(references)!),
                ["compared"] = others.Length > 0 ? Names(others) : null,
                ["resamples"] = parsed.GetValue(resamples),
                ["seed"] = parsed.GetValue(seed),
                ["rows_without_reference"] = expected.Blank.Count,
                ["rows_without_prediction"] = rows.Missing.Count,
            });
            if (folder is not null) Write(folder, result, details, given, others);
            if (parsed.GetValue(json)) Console.Write(ScoreFiles.Text(details));
            else EvaluationTable.Write(result, folder);
            return 0;
        });
        return command;
    }

    // Settings are for the one YAML file among the references.
    private static DataSource[] Sources(string[] places, string[] settings)
    {
        int configurations = places.Count(DataSource.IsConfiguration);
        if (settings.Length > 0 && configurations != 1) throw new UsageException($"--set {settings[0]}: expected one YAML file with --ref, got {configurations}");
        return [.. places.Select(place => DataSource.Of(place, DataSource.IsConfiguration(place) ? settings : []))];
    }

    private static ReferenceSet References(string[] places, DataSource[] sources, string[] splits)
    {
        string[] files = [.. places.Where(place => !DataSource.IsConfiguration(place))];
        if (files.Length == places.Length) return ReferenceReader.Read(places, splits);
        var rows = new List<Reference>();
        foreach (DataSource source in places.Zip(sources).Where(source => DataSource.IsConfiguration(source.First)).Select(source => source.Second))
        {
            var report = new RowReport(source.SkipsBadRows);
            rows.AddRange(source.References(splits, report));
            foreach (string line in report.Lines) Console.Error.WriteLine($"left out: {line}");
        }

        if (files.Length > 0) rows.AddRange(ReferenceReader.Read(files, splits).References);
        return ReferenceReader.Gather(rows, places);
    }

    // The rules take thousandths, y first, for pixels, x first, and find nothing where everything may be right.
    private static string[] Unconverted(MatchedRows rows)
    {
        int answers = rows.Rows.Count(row => row.Task == TaskType.Detection && row.Prediction?.Contains("box_2d", StringComparison.Ordinal) == true);
        return answers == 0 ? [] : [$"{answers} answers are boxes in MedGemma's box_2d, which the rules take for pixels; 'gemmacore boxes convert --to corners' makes pixels of them"];
    }

    private static int Masks(IReadOnlyList<MaskScore> scores, string? folder, bool json)
    {
        if (folder is not null) AtomicFile.WriteAllText(Path.Combine(folder, "masks.json"), ScoreFiles.Text(MaskEvaluation.Json(scores)));
        if (json) Console.Write(ScoreFiles.Text(MaskEvaluation.Json(scores)));
        else MaskEvaluation.Write(scores);
        return 0;
    }

    private static string[] Words(string text)
    {
        string[] wanted = text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (wanted.FirstOrDefault(name => !TextScoring.Known.Contains(name)) is { } unknown || wanted.Length == 0)
            throw new UsageException($"--text {text}: expected one or more of {string.Join(", ", TextScoring.Known)}, with commas between them");
        return wanted;
    }

    private static ReferenceSet Chosen(ReferenceSet references, string[] datasets)
    {
        if (datasets.Length == 0) return references;
        string[] known = [.. references.References.Select(reference => reference.Row.Dataset).Distinct().Order(StringComparer.Ordinal)];
        if (datasets.FirstOrDefault(name => !known.Contains(name)) is { } unknown)
        {
            throw new UsageException(
                $"--dataset {unknown}: the references have no such data set; did you mean {Training.Configuration.Spelling.Nearest(unknown, known)}? (there are {string.Join(", ", known)})");
        }

        return references.Only(datasets);
    }

    private static void Write(string folder, EvaluationResult result, JsonObject details, string[] predictions, string[] compared)
    {
        void Csv(string name, Action<TextWriter> write) => AtomicFile.Write(Path.Combine(folder, name), stream =>
        {
            using var writer = new StreamWriter(stream, leaveOpen: true);
            write(writer);
        });
        AtomicFile.WriteAllText(Path.Combine(folder, "scores.json"), ScoreFiles.Text(ScoreFiles.Scores(result)));
        AtomicFile.WriteAllText(Path.Combine(folder, "details.json"), ScoreFiles.Text(details));
        Csv("rows.csv", writer => CsvTables.WriteRows(result, writer));
        Csv("metrics.csv", writer => CsvTables.WriteMetrics(result, writer));
        AtomicFile.WriteAllText(
            Path.Combine(folder, "report.html"),
            EvaluationPage.Of(result, FileNames(predictions), compared.Length > 0 ? FileNames(compared) : null));
    }

    private static string FileNames(IEnumerable<string> paths) => string.Join(", ", paths.Select(Path.GetFileName));

    private static JsonArray Names(IEnumerable<string> paths) => [.. paths.Select(path => (JsonNode)path)];
}
