using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Generation;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore predict</c>: answers for a whole data set.</summary>
internal static class PredictCommand
{
    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static Command Create()
    {
        var command = new Command("predict", """
            Answer the questions of a FLARE folder or question file. The output is a JSON array of the input rows with Answer filled in; a run
            that was interrupted goes on where it stopped.

            Examples:
              gemmacore predict demo --data demo --dataset phantom_cells --prompts question --out predictions.json
              gemmacore predict demo --data demo --dataset phantom_brain --prompts question --out predictions.json --batch 16
            """);
        var model = new ModelOptions();
        var data = new Option<string>("--data") { Description = "FLARE folder, question file, or demo", Required = true };
        var output = new Option<string>("--out") { Description = "file to write", Required = true };
        var split = new Option<string>("--split") { Description = "split folder", DefaultValueFactory = _ => "validation-public" };
        var datasets = new Option<string[]>("--dataset") { Description = "data set to answer; may be repeated" };
        var prompts = new Option<string>("--prompts") { Description = "question, flare25 or flare26", DefaultValueFactory = _ => "flare26" };
        var batch = new Option<int>("--batch") { Description = "questions answered together", DefaultValueFactory = _ => 8 };
        var maxTokens = new Option<int>("--max-tokens") { Description = "most tokens of an answer", DefaultValueFactory = _ => 256 };
        var badRow = new Option<string>("--on-bad-row") { Description = "stop or skip", DefaultValueFactory = _ => "stop" };
        badRow.AcceptOnlyFromAmong("stop", "skip");
        model.AddTo(command);
        foreach (Option option in (Option[])[data, output, split, datasets, prompts, batch, maxTokens, badRow]) command.Add(option);
        command.SetAction(parsed =>
        {
            string source = ModelLocation.ResolveData(parsed.GetValue(data)!);
            var report = new RowReport(parsed.GetValue(badRow) == "skip");
            IReadOnlyList<TrainingExample> rows = FlareDataset.Read(
                source, parsed.GetValue(split)!, parsed.GetValue(datasets) ?? [], PromptSet.Of(parsed.GetValue(prompts)!), report);
            using GemmaModel loaded = model.Load(parsed);
            string file = parsed.GetValue(output)!;
            Dictionary<string, string> answers = Known(file, rows);
            var parameters = new SamplingParams { MaxTokens = parsed.GetValue(maxTokens) };
            foreach (TrainingExample[] chunk in rows.Where(row => !answers.ContainsKey(row.Row)).Chunk(Math.Max(1, parsed.GetValue(batch))))
            {
                if (Edge.Interrupted.IsCancellationRequested) break;
                Answer(loaded, chunk, parameters, answers, report);
                AtomicFile.WriteAllText(file, Document(rows, answers));
                Console.Error.WriteLine($"{answers.Count}/{rows.Count}");
            }

            foreach (string skipped in report.Skipped) Console.Error.WriteLine($"left out: {skipped}");
            Console.WriteLine(file);
            return answers.Count + report.Skipped.Count >= rows.Count ? 0 : 1;
        });
        return command;
    }

    private static void Answer(
        GemmaModel model, TrainingExample[] rows, SamplingParams parameters, Dictionary<string, string> answers, RowReport report)
    {
        var usable = new List<(TrainingExample Row, Inputs.Prompt Prompt)>();
        foreach (TrainingExample row in rows)
        {
            try
            {
                usable.Add((row, model.Prompts.Encode(row.Prompt, addGenerationPrompt: true)));
            }
            catch (Inputs.InputException error)
            {
                report.Add(row.Row, error.Message);
            }
        }

        IReadOnlyList<GenerationResult> results = model.Generate([.. usable.Select(item => (item.Prompt, parameters))], null, Edge.Interrupted);
        for (int i = 0; i < results.Count; i++)
            if (results[i].FinishReason != FinishReason.Cancelled) answers[usable[i].Row.Row] = results[i].Text;
    }

    // A row is known again by everything it holds but the answer, however the JSON of it is spelled.
    private static string Key(IEnumerable<KeyValuePair<string, JsonNode?>> fields) =>
        string.Join('\n', fields.Where(field => field.Key != "Answer").OrderBy(field => field.Key, StringComparer.Ordinal)
            .Select(field => $"{JsonSerializer.Serialize(field.Key)}:{field.Value?.ToJsonString() ?? "null"}"));

    private static Dictionary<string, string> Known(string file, IReadOnlyList<TrainingExample> rows)
    {
        var answers = new Dictionary<string, string>();
        if (!File.Exists(file)) return answers;
        // Equal rows take the answers in their order.
        Dictionary<string, Queue<string>> waiting = rows.GroupBy(row => Key(row.Fields.Select(field => KeyValuePair.Create(field.Key, JsonNode.Parse(field.Value)))))
            .ToDictionary(group => group.Key, group => new Queue<string>(group.Select(row => row.Row)));
        try
        {
            foreach (JsonNode? node in JsonNode.Parse(File.ReadAllText(file))!.AsArray())
            {
                string answer = node!["Answer"]!.GetValue<string>();
                if (waiting.TryGetValue(Key(node.AsObject()), out Queue<string>? same) && same.TryDequeue(out string? row)) answers[row] = answer;
            }

            return answers;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or NullReferenceException)
        {
            throw new DatasetException($"{file}: exists, but holds no predictions to go on from; move it away or choose another --out");
        }
    }

    private static string Document(IReadOnlyList<TrainingExample> rows, Dictionary<string, string> answers)
    {
        var array = new JsonArray();
        foreach (TrainingExample row in rows.Where(row => answers.ContainsKey(row.Row)))
        {
            var item = new JsonObject();
            foreach ((string name, string json) in row.Fields)
                if (name != "Answer") item[name] = JsonNode.Parse(json);
            item["Answer"] = answers[row.Row];
            array.Add((JsonNode)item);
        }

        return array.ToJsonString(Format) + "\n";
    }
}
