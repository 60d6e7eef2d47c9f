using System.CommandLine;
using GemmaCore.Checkpoints;
using GemmaCore.Evaluation;
using GemmaCore.Inputs;
using GemmaCore.Training.Datasets;
using GemmaCore.Training.Flare;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore flare</c>: the FLARE folder before training and after prediction.</summary>
internal static class FlareCommand
{
    public static Command Create() => new("flare", """
        Convert a FLARE folder to JSON lines, report what is in it, or write a submission. 'gemmacore flare convert -h' and so on have more.

        Examples:
          gemmacore flare report --root demo --out flare-report
          gemmacore flare convert --root demo --out flare-converted
        """)
    {
        CreateConvert(),
        CreateReport(),
        CreateSubmit(),
    };

    private static Command CreateConvert()
    {
        var command = new Command("convert", """
            Convert a FLARE folder to JSON lines with the 2026 baseline's fields and row names, one file a split, which train, predict and eval read. The folder itself
            is only read; zip archives beside question files are unpacked below --out.

            Examples:
              gemmacore flare convert --root demo --out flare-converted
              gemmacore flare convert --root demo --out flare-converted --prompts flare25 --on-bad-row skip
            """);
        Option<string> root = Root(), output = new("--out") { Description = "folder to write", Required = true };
        Option<string> prompts = Prompts();
        var badRow = new Option<string>("--on-bad-row") { Description = "stop or skip", DefaultValueFactory = _ => "stop" };
        badRow.AcceptOnlyFromAmong("stop", "skip");
        var missingImages = new Option<bool>("--allow-missing-images") { Description = "keep rows whose picture is not there" };
        var limit = new Option<long>("--max-unpacked") { Description = "most bytes that one archive may hold", DefaultValueFactory = _ => FlareArchive.DefaultMaxBytes };
        foreach (Option option in (Option[])[root, output, prompts, badRow, missingImages, limit]) command.Add(option);
        command.SetAction(parsed =>
        {
            string folder = Folder(parsed.GetValue(output)!);
            var report = new RowReport(parsed.GetValue(badRow) == "skip");
            ConversionResult result = new FlareConversion(
                ModelLocation.ResolveData(parsed.GetValue(root)!), folder, PromptSet.Of(parsed.GetValue(prompts)!), report, parsed.GetValue(missingImages), parsed.GetValue(limit)).Run();
            foreach (string skipped in report.Lines) Console.Error.WriteLine($"left out: {skipped}");
            if (result.WithoutAnswer > 0) Console.Error.WriteLine($"left out: {result.WithoutAnswer} rows without an answer");
            if (result.Unpacked > 0) Console.Error.WriteLine($"unpacked {result.Unpacked} pictures");
            foreach ((string name, int rows) in result.Rows) Console.WriteLine($"{Path.Combine(folder, name)}: {rows} rows");
        });
        return command;
    }

    private static Command CreateReport()
    {
        var command = new Command("report", """
            Say what is in a FLARE folder and what is wrong with it: missing and unreadable pictures, odd answers, pictures in more than one split (by content), class
            balance and, with --model, token lengths. --out writes report.json and report.html, a page with thumbnails.

            Examples:
              gemmacore flare report --root demo
              gemmacore flare report --root demo --model demo --prompts question --out flare-report
            """);
        Option<string> root = Root(), prompts = Prompts();
        var model = new Option<string?>("--model") { Description = "model whose tokenizer counts token lengths" };
        var output = new Option<string?>("--out") { Description = "folder to write" };
        var json = new Option<bool>("--json") { Description = "one JSON document instead of text" };
        foreach (Option option in (Option[])[root, prompts, model, output, json]) command.Add(option);
        command.SetAction(parsed =>
        {
            PromptEncoder? encoder = parsed.GetValue(model) is { } name ? PromptEncoder.Load(ModelLocation.Resolve(name)) : null;
            FlareReport report = FlareReport.Of(ModelLocation.ResolveData(parsed.GetValue(root)!), encoder, PromptSet.Of(parsed.GetValue(prompts)!));
            string document = ScoreFiles.Text(FlareReportFiles.Json(report));
            if (parsed.GetValue(output) is { } folder)
            {
                AtomicFile.WriteAllText(Path.Combine(Folder(folder), "report.json"), document);
                AtomicFile.WriteAllText(Path.Combine(folder, "report.html"), FlareReportFiles.Page(report));
            }

            Console.Write(parsed.GetValue(json) ? document : FlareReportFiles.Text(report));
        });
        return command;
    }

    private static Command CreateSubmit()
    {
        var command = new Command("submit", """
            Write predictions.json for the challenge: the question rows with Answer filled in, boxes as nested lists, numbers finite, everything else unchanged. Answers in
            the question file are not looked at; the organisers' files with answers (withGT) are refused.

            Examples:
              gemmacore flare submit --data demo --split validation-public --pred predictions.json --out submission.json
              gemmacore flare submit --data demo --split validation-public --pred predictions.json --out submission.json --allow-missing-predictions
            """);
        var data = new Option<string>("--data") { Description = "FLARE folder or question file", Required = true };
        var split = new Option<string>("--split") { Description = "split folder", DefaultValueFactory = _ => "validation-hidden" };
        var predictions = new Option<string[]>("--pred") { Description = "predictions; may be repeated", Required = true };
        var output = new Option<string>("--out") { Description = "file to write", Required = true };
        var allowMissing = new Option<bool>("--allow-missing-predictions") { Description = "submit empty answers where there is no prediction" };
        foreach (Option option in (Option[])[data, split, predictions, output, allowMissing]) command.Add(option);
        command.SetAction(parsed =>
        {
            string root = ModelLocation.ResolveData(parsed.GetValue(data)!), file = parsed.GetValue(output)!;
            if (Directory.Exists(file)) throw new UsageException($"--out {file}: this is a folder; a file is written");
            Submission submission = new FlareSubmission(parsed.GetValue(allowMissing)).Fill(FlareFiles.Find(root, parsed.GetValue(split)!), root, PredictionReader.Read(parsed.GetValue(predictions)!));
            foreach (string note in submission.Notes) Console.Error.WriteLine("note: " + note);
            if (submission.Missing.Count > 0) Console.Error.WriteLine($"note: {submission.Missing.Count} questions have no prediction and an empty answer");
            AtomicFile.WriteAllText(file, submission.Text());
            Console.WriteLine($"{file}: {submission.Rows.Count} answers");
        });
        return command;
    }

    private static Option<string> Root() => new("--root") { Description = "FLARE folder, or demo", Required = true };

    private static Option<string> Prompts() => new("--prompts") { Description = "question, flare25 or flare26", DefaultValueFactory = _ => "flare26" };

    private static string Folder(string path) => File.Exists(path) ? throw new UsageException($"--out {path}: this is a file; a folder is written") : path;
}
