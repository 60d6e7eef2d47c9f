using System.CommandLine;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Evaluation;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore eval</c>: metrics of predictions against references.</summary>
internal static class EvalCommand
{
    private const int DefaultResamples = 1000, DefaultSeed = 42;

    public static Command Create()
    {
        var command = new Command("eval", """
            Score predictions against references by the rules of FLARE. References are rows of 'flare convert', question files with answers, or folders of either;
            predictions are JSON lines or an array of uid and prediction, an object of uid and text, or the output of 'predict'. --out DIR writes scores.json,
            details.json, rows.csv, metrics.csv and report.html.

            Examples:
              gemmacore eval --pred predictions.json --ref demo --dataset phantom_brain --out evaluation
              gemmacore eval --rules official --pred predictions.json --ref demo --bootstrap 200 --json
            """);
        var rules = new Option<string>("--rules") { Description = "flare26 (2026 baseline), official (the challenge) or flare25 (2025 baseline)", DefaultValueFactory = _ => "flare26" };
        rules.AcceptOnlyFromAmong([.. ScoringRules.All.Select(one => one.Name)]);
        var predictions = new Option<string[]>("--pred") { Description = "predictions to score; may be repeated", Required = true };
        var references = new Option<string[]>("--ref") { Description = "references: file, folder, or demo; may be repeated", Required = true };
        var compared = new Option<string[]>("--compare") { Description = "other predictions of the same rows: gives the difference and its interval" };
        var splits = new Option<string[]>("--split") { Description = "split of a --ref folder; may be repeated; all evaluated ones where not given" };
        var datasets = new Option<string[]>("--dataset") { Description = "data set to score; may be repeated" };
        var output = new Option<string?>("--out") { Description = "folder to write" };
        var allowMissing = new Option<bool>("--allow-missing-predictions") { Description = "score rows without a prediction as empty answers" };
        var resamples = new Option<int>("--bootstrap") { Description = "resamples for 95 % intervals; 0 for none", DefaultValueFactory = _ => DefaultResamples };
        var seed = new Option<int>("--seed") { Description = "seed of the resamples", DefaultValueFactory = _ => DefaultSeed };
        var text = new Option<string?>("--text") { Description = "score reports by their words too: rouge,bleu,cider,meteor-lite" };
        var mask = new Option<bool>("--mask") { Description = "--ref and --pred are folders of masks: Dice, IoU, cIoU" };
        var threshold = new Option<double>("--mask-threshold") { Description = "share of white from which on a pixel belongs to a mask", DefaultValueFactory = _ => 0.5 };
        var classes = new Option<bool>("--mask-classes") { Description = "grey values are class numbers, 0 is background" };
        var json = new Option<bool>("--json") { Description = "one JSON document instead of a table" };
        foreach (Option option in (Option[])[rules, predictions, references, compared, splits, datasets, output, allowMissing, resamples, seed, text, mask, threshold, classes, json]) command.Add(option);
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(resamples) is < 0 or > 100_000) throw new UsageException("--bootstrap: expected 0 to 100000 resamples");
            if (parsed.GetValue(mask))
            {
                if (parsed.GetValue(references) is not [var right] || parsed.GetValue(predictions) is not [var predicted])
                    throw new UsageException("--mask: expected one folder with --ref and one with --pred");
                if (parsed.GetValue(threshold) is not (> 0 and <= 1)) throw new UsageException("--mask-threshold: expected a number above 0 and up to 1");
                IReadOnlyList<MaskScore> scores = new MaskEvaluation(parsed.GetValue(threshold), parsed.GetValue(classes), parsed.GetValue(allowMissing)).Score(right, predicted);
                if (parsed.GetValue(output) is { } masks) AtomicFile.WriteAllText(Path.Combine(masks, "masks.json"), ScoreFiles.Text(MaskEvaluation.Json(scores)));
                if (parsed.GetValue(json)) Console.Write(ScoreFiles.Text(MaskEvaluation.Json(scores)));
                else MaskEvaluation.Write(scores);
                return 0;
            }

            ScoringRules chosen = ScoringRules.All.First(one => one.Name == parsed.GetValue(rules));
            if (parsed.GetValue(text) is { } words) chosen = chosen.With(new TextScoring(Words(words)));
            ReferenceSet expected = Chosen(
                ReferenceReader.Read([.. parsed.GetValue(references)!.Select(ModelLocation.ResolveData)], parsed.GetValue(splits) ?? []), parsed.GetValue(datasets) ?? []);
            bool lenient = chosen.SkipsMissing || parsed.GetValue(allowMissing);
            MatchedRows rows = RowMatching.Match(expected, PredictionReader.Read(parsed.GetValue(predictions)!), lenient);
            MatchedRows? others = parsed.GetValue(compared) is { Length: > 0 } files ? RowMatching.Match(expected, PredictionReader.Read(files), lenient) : null;
            EvaluationResult result = new Evaluator(chosen, parsed.GetValue(resamples), parsed.GetValue(seed)).Score(rows, others);
            var run = new JsonObject
            {
                ["predictions"] = Names(parsed.GetValue(predictions)!),
                ["references"] = Names(parsed.GetValue(references)!),
                ["compared"] = parsed.GetValue(compared) is { Length: > 0 } ? Names(parsed.GetValue(compared)!) : null,
                ["resamples"] = parsed.GetValue(resamples),
                ["seed"] = parsed.GetValue(seed),
                ["rows_without_reference"] = expected.Blank.Count,
                ["rows_without_prediction"] = rows.Missing.Count,
            };
            foreach (string note in result.Notes) Console.Error.WriteLine("note: " + note);
            JsonObject details = ScoreFiles.Details(result, run);
            if (parsed.GetValue(output) is { } folder) Write(folder, result, details, parsed.GetValue(predictions)!, parsed.GetValue(compared));
            if (parsed.GetValue(json)) Console.Write(ScoreFiles.Text(details));
            else EvaluationTable.Write(result, parsed.GetValue(output));
            return 0;
        });
        return command;
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

    private static void Write(string folder, EvaluationResult result, JsonObject details, string[] predictions, string[]? compared)
    {
        if (File.Exists(folder)) throw new UsageException($"--out {folder}: this is a file; a folder is written");
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
            EvaluationPage.Of(result, string.Join(", ", predictions.Select(Path.GetFileName)), compared is { Length: > 0 } ? string.Join(", ", compared.Select(Path.GetFileName)) : null));
    }

    private static JsonArray Names(IEnumerable<string> paths) => [.. paths.Select(path => (JsonNode)path)];
}
