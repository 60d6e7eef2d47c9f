using System.CommandLine;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;
using GemmaCore.Evaluation;
using GemmaCore.Evaluation.Judges;
using GemmaCore.Generation;
using GemmaCore.Inputs;

namespace GemmaCore.Cli;

/// <summary>
/// Reports judged by a model (CRIMSON, GREEN): one that GemmaCore runs, such as a MedGemma that was tuned to judge; or one elsewhere, for which the questions are written
/// and whose answers are read.
/// </summary>
internal sealed class ReportJudge
{
    private static readonly JsonSerializerOptions Line = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly Option<string?> _judge = new("--judge") { Description = "score reports by a judge model: crimson or green" };
    private readonly Option<string?> _model = new("--judge-model") { Description = "the judge: model folder or hub id in the cache; its answers are kept in --out" };
    private readonly Option<string[]> _adapter = new("--judge-adapter") { Description = "PEFT adapter folder of the judge; may be repeated" };
    private readonly Option<string[]> _answers = new("--judge-answers") { Description = "answers of a judge that ran elsewhere: JSON lines of uid and prediction; may be repeated" };
    private readonly Option<string?> _questions = new("--judge-questions") { Description = "write the judge's questions to this file and stop: JSON lines of uid and prompt" };
    private readonly Option<string?> _prompt = new("--judge-prompt") { Description = "file with the judge's own prompt, {reference} and {prediction} in it" };
    private readonly Option<int> _maxTokens = new("--judge-max-tokens") { Description = "most tokens of a judge's answer", DefaultValueFactory = _ => 2048 };
    private readonly Option<int> _batch = new("--judge-batch") { Description = "reports judged together", DefaultValueFactory = _ => 8 };

    public ReportJudge() => _judge.AcceptOnlyFromAmong([.. JudgeScoring.Judges.Select(judge => judge.Name)]);

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_judge, _model, _adapter, _answers, _questions, _prompt, _maxTokens, _batch]) command.Add(option);
    }

    /// <summary>Refuses what makes no sense, before anything is loaded.</summary>
    public void Check(ParseResult parsed, string? folder, bool compares, bool scoresWords)
    {
        int sources = (parsed.GetValue(_model) is null ? 0 : 1) + (parsed.GetValue(_answers) is { Length: > 0 } ? 1 : 0) + (parsed.GetValue(_questions) is null ? 0 : 1);
        if (parsed.GetValue(_judge) is null)
        {
            if (sources > 0 || parsed.GetValue(_prompt) is not null) throw new UsageException("--judge: say which judge it is, crimson or green");
            return;
        }

        if (sources != 1) throw new UsageException("--judge: expected one of --judge-model, --judge-answers and --judge-questions");
        if (parsed.GetValue(_model) is not null && folder is null) throw new UsageException("--out: a judge's answers are kept beside the scores; name a folder");
        if (compares) throw new UsageException("--compare: a judge answers about one file of predictions; judge the other by itself");
        if (scoresWords) throw new UsageException("--text: reports are scored by their words or by a judge; run eval twice for both");
        if (parsed.GetValue(_prompt) is { } file && !File.Exists(file)) throw new UsageException($"--judge-prompt {file}: not found");
    }

    /// <summary>The scoring that a judge gives; null where none was asked for.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="device">Device and weight format of models.</param>
    /// <param name="rows">References with predictions.</param>
    /// <param name="folder">Where a judge's answers are kept.</param>
    /// <param name="stopped">True where the questions were written instead.</param>
    public TaskScoring? Scoring(ParseResult parsed, ModelOptions device, MatchedRows rows, string? folder, out bool stopped)
    {
        stopped = false;
        if (parsed.GetValue(_judge) is not { } name) return null;
        (_, string metric, JudgePrompt usual, Func<string, double?> score) = JudgeScoring.Judges.First(judge => judge.Name == name);
        JudgePrompt prompt = parsed.GetValue(_prompt) is { } file ? new JudgePrompt(File.ReadAllText(file)) : usual;
        EvaluationRow[] reports = [.. rows.Rows.Where(row => row.Task == TaskType.ReportGeneration)];
        if (reports.Length == 0) throw new EvaluationException($"--judge {name}: there are no rows of task {TaskType.ReportGeneration.Name()}");
        if (parsed.GetValue(_questions) is { } output)
        {
            AtomicFile.WriteAllText(output, Lines(reports.Select(row => (row.Uid, "prompt", prompt.Ask(row.Reference, row.Prediction ?? "")))));
            Console.WriteLine($"{output}: {reports.Length} questions");
            stopped = true;
            return null;
        }

        Dictionary<string, string> answers = parsed.GetValue(_model) is { } model
            ? Judged(parsed, device, model, prompt, reports, Path.Combine(folder!, name + "_answers.jsonl"))
            : PredictionReader.Read(parsed.GetValue(_answers)!).ByName.ToDictionary(entry => entry.Key, entry => entry.Value.Text);
        int unread = reports.Count(row => !answers.TryGetValue(row.Uid, out string? answer) || score(answer) is null);
        if (unread == reports.Length)
            throw new EvaluationException($"--judge {name}: none of {reports.Length} reports has an answer of the judge that can be read; a judge needs the prompt that it was tuned with (--judge-prompt) and room to answer (--judge-max-tokens)");
        if (unread > 0) Console.Error.WriteLine($"note: {unread} of {reports.Length} reports have no answer of the judge that can be read and are left out");
        return new JudgeScoring(metric, score, answers);
    }

    // What the file holds already for the same two reports is not asked again.
    private Dictionary<string, string> Judged(ParseResult parsed, ModelOptions device, string name, JudgePrompt prompt, EvaluationRow[] reports, string file)
    {
        Dictionary<string, (string Question, string Answer)> known = Known(file);
        Dictionary<string, string> questions = reports.ToDictionary(row => row.Uid, row => prompt.Ask(row.Reference, row.Prediction ?? ""));
        Dictionary<string, string> answers = questions.Where(item => known.TryGetValue(item.Key, out var kept) && kept.Question == Fingerprint(item.Value)).ToDictionary(item => item.Key, item => known[item.Key].Answer);
        if (answers.Count == reports.Length) return answers;
        using GemmaModel model = device.LoadBase(parsed, name);
        foreach (string folder in parsed.GetValue(_adapter) ?? []) ModelOptions.TellApplied(folder, model.LoadAdapter(folder));
        foreach (string[] chunk in questions.Keys.Where(uid => !answers.ContainsKey(uid)).Chunk(Math.Max(1, parsed.GetValue(_batch))))
        {
            if (Edge.Interrupted.IsCancellationRequested) break;
            var asked = new List<(Prompt, SamplingParams)>();
            foreach (string uid in chunk)
                asked.Add((model.Prompts.Encode([ChatMessage.FromText(ChatRole.User, questions[uid])], addGenerationPrompt: true), new SamplingParams { MaxTokens = parsed.GetValue(_maxTokens) }));
            IReadOnlyList<GenerationResult> results = model.GenerateAndScore(asked, [], cancellation: Edge.Interrupted).Answers;
            foreach ((string uid, GenerationResult result) in chunk.Zip(results))
                if (result.FinishReason != FinishReason.Cancelled) answers[uid] = result.Text;
            AtomicFile.WriteAllText(file, string.Concat(answers.Select(item =>
                new JsonObject { ["uid"] = item.Key, ["prediction"] = item.Value, ["question"] = Fingerprint(questions[item.Key]) }.ToJsonString(Line) + "\n")));
            Console.Error.WriteLine($"judged {answers.Count}/{reports.Length}");
        }

        return answers.Count == reports.Length ? answers : throw new InvalidOperationException($"interrupted; {file} holds the judge's answers so far, the same command goes on");
    }

    private static Dictionary<string, (string Question, string Answer)> Known(string file)
    {
        var known = new Dictionary<string, (string, string)>();
        if (!File.Exists(file)) return known;
        try
        {
            foreach (string line in File.ReadLines(file).Where(line => line.Length > 0))
            {
                JsonNode item = JsonNode.Parse(line)!;
                known[item["uid"]!.GetValue<string>()] = (item["question"]!.GetValue<string>(), item["prediction"]!.GetValue<string>());
            }

            return known;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or NullReferenceException)
        {
            throw new EvaluationException($"{file}: exists, but holds no answers of a judge to go on from; move it away or choose another --out", error);
        }
    }

    private static string Fingerprint(string question) => Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(question)))[..16];

    private static string Lines(IEnumerable<(string Uid, string Key, string Text)> rows) =>
        string.Concat(rows.Select(row => new JsonObject { ["uid"] = row.Uid, [row.Key] = row.Text }.ToJsonString(Line) + "\n"));
}
