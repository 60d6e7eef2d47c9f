using System.CommandLine;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Evaluation;
using GemmaCore.Evaluation.Regions;
using GemmaCore.Inputs;
using GemmaCore.Training.Datasets;
using GemmaCore.Training.Overlays;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore boxes</c>: answers that are boxes or polygons, from one format to another and drawn over their pictures.</summary>
internal static class BoxesCommand
{
    private static readonly JsonSerializerOptions Line = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static Command Create() => new("boxes", """
        Convert boxes and polygons in answers between formats, or draw them over their pictures. 'gemmacore boxes convert -h' and so on have more.

        Examples:
          gemmacore boxes draw --data demo --dataset phantom_chest --out overlays --max 4
          gemmacore boxes convert --data demo --dataset phantom_chest --to coco --out boxes.json
        """)
    {
        CreateConvert(),
        CreateDraw(),
    };

    /// <summary>The options that say which rows are meant.</summary>
    private sealed class Source
    {
        private readonly Option<string> _data = new("--data") { Description = "FLARE folder, question file, converted rows, YAML file, or demo", Required = true };
        private readonly Option<string[]> _settings = new("--set") { Description = "key=value for the YAML file; may be repeated" };
        private readonly Option<string[]> _splits = new("--split") { Description = "split; may be repeated; all evaluated ones, or the YAML file's, where not given" };
        private readonly Option<string[]> _datasets = new("--dataset") { Description = "data set; may be repeated" };
        private readonly Option<string[]> _predictions = new("--pred") { Description = "predictions; the references' own boxes where not given" };
        private readonly Option<bool> _padded = new("--padded") { Description = "the model saw pictures padded to a square: thousandths are of the square; a YAML file with resize_mode: pad says so itself" };

        public void AddTo(Command command)
        {
            foreach (Option option in (Option[])[_data, _settings, _splits, _datasets, _predictions, _padded]) command.Add(option);
        }

        public IReadOnlyList<RegionRow> Rows(ParseResult parsed)
        {
            DataSource source = DataSource.Of(ModelLocation.ResolveData(parsed.GetValue(_data)!), parsed.GetValue(_settings) ?? []);
            var report = new RowReport(source.SkipsBadRows);
            IReadOnlyList<TrainingExample> rows = source.Rows(parsed.GetValue(_splits) ?? [], parsed.GetValue(_datasets) ?? [], PromptSet.Question, report);
            foreach (string line in report.Lines) Console.Error.WriteLine($"left out: {line}");
            return RegionRows.Read(rows, parsed.GetValue(_predictions) ?? [], parsed.GetValue(_padded) || source.Pictures.Pads);
        }
    }

    private static Command CreateConvert()
    {
        var command = new Command("convert", """
            Write boxes in another format. corners: lists of [x1, y1, x2, y2] in pixels, as FLARE scores them; keyed: such lists by label; box_2d: MedGemma's [y0, x0, y1, x1] in
            thousandths; coco: one COCO document. Read are all of these, polygons, and lists in a fence or cut off; what cannot be read stays as it is and is counted.

            Examples:
              gemmacore boxes convert --data demo --dataset phantom_chest --to box_2d --out medgemma.jsonl
              gemmacore boxes convert --data demo --dataset phantom_chest --pred medgemma.jsonl --to corners --out pixels.jsonl
            """);
        var source = new Source();
        var format = new Option<string>("--to") { Description = "corners, keyed, box_2d or coco", DefaultValueFactory = _ => "corners" };
        format.AcceptOnlyFromAmong([.. RegionFormats.Names, "coco"]);
        var output = new Option<string>("--out") { Description = "file to write: JSON lines of uid and prediction, or the COCO document", Required = true };
        source.AddTo(command);
        command.Add(format);
        command.Add(output);
        command.SetAction(parsed =>
        {
            string file = parsed.GetValue(output)!, to = parsed.GetValue(format)!;
            if (Directory.Exists(file)) throw new UsageException($"--out {file}: this is a folder; a file is written");
            IReadOnlyList<RegionRow> rows = source.Rows(parsed);
            AtomicFile.WriteAllText(file, to == "coco" ? Coco(rows) : Lines(rows, to));
            int unread = rows.Count(row => Chosen(row) is null);
            if (unread > 0) Console.Error.WriteLine($"note: {unread} of {rows.Count} answers hold no boxes that can be read{(to == "coco" ? "" : " and stay as they are")}");
            Console.WriteLine(file);
        });
        return command;
    }

    private static Command CreateDraw()
    {
        var command = new Command("draw", """
            Draw boxes and polygons over their pictures, one PNG a question: references as whole lines, predictions as dashes, a colour for each label, a legend below.

            Examples:
              gemmacore boxes draw --data demo --dataset phantom_chest --out overlays --max 4
              gemmacore boxes draw --data demo --dataset phantom_chest --pred medgemma.jsonl --out overlays --max 4
            """);
        var source = new Source();
        var output = new Option<string>("--out") { Description = "folder to write", Required = true };
        var most = new Option<int>("--max") { Description = "most pictures to draw", DefaultValueFactory = _ => 100 };
        source.AddTo(command);
        command.Add(output);
        command.Add(most);
        command.SetAction(parsed =>
        {
            string folder = parsed.GetValue(output)!;
            if (File.Exists(folder)) throw new UsageException($"--out {folder}: this is a file; a folder is written");
            if (parsed.GetValue(most) < 1) throw new UsageException("--max: expected at least 1");
            IReadOnlyList<RegionRow> rows = source.Rows(parsed);
            foreach (RegionRow row in rows.Take(parsed.GetValue(most)))
            {
                string name = string.Concat(row.Row.Uid.Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' ? c : '_'));
                string file = Path.Combine(folder, name + ".png");
                AtomicFile.WriteAllBytes(file, RegionOverlay.Draw(ImageDecoder.Decode(ImageSource.FromFile(row.Picture)), row.References, row.Prediction is null ? null : row.Predictions ?? []));
                Console.WriteLine(file);
            }

            if (rows.Count > parsed.GetValue(most)) Console.Error.WriteLine($"note: {rows.Count - parsed.GetValue(most)} more are not drawn (--max)");
        });
        return command;
    }

    private static IReadOnlyList<Region>? Chosen(RegionRow row) => row.Prediction is null ? row.References : row.Predictions;

    private static string Lines(IReadOnlyList<RegionRow> rows, string format)
    {
        var text = new StringBuilder();
        foreach (RegionRow row in rows)
        {
            string answer = Chosen(row) is { } regions ? RegionFormats.Write(regions, format, row.Frame) : row.Prediction ?? row.Row.Answer ?? "";
            text.Append(new JsonObject { ["uid"] = row.Row.Uid, ["prediction"] = answer, ["task_type"] = TaskType.Detection.Name() }.ToJsonString(Line)).Append('\n');
        }

        return text.ToString();
    }

    // Several questions about one picture are one picture.
    private static string Coco(IReadOnlyList<RegionRow> rows) => RegionFormats.Coco(
    [
        .. rows.GroupBy(row => row.Picture).Select(group => (
            Path.GetFileName(group.Key), group.First().Frame.Width, group.First().Frame.Height, (IReadOnlyList<Region>)[.. group.SelectMany(row => Chosen(row) ?? [])])),
    ]).ToJsonString(Indented) + "\n";
}
