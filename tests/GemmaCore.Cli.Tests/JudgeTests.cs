using System.Text.Json.Nodes;

namespace GemmaCore.Cli.Tests;

/// <summary>Reports judged by a model, through the program itself: a judge elsewhere, whose answers are recorded here, and one that runs here.</summary>
public sealed class JudgeTests : IDisposable
{
    private const string Perfect = """{"reference_findings": [{"id": "R1", "finding": "polyp", "clinical_significance": "urgent"}], "predicted_findings": [{"id": "P1", "finding": "polyp", "clinical_significance": "urgent"}], "matched_findings": [{"ref_id": "R1", "pred_id": "P1"}], "errors": {}}""";

    private readonly TemporaryFolder _folder = new();

    public JudgeTests()
    {
        File.WriteAllLines(_folder.File("ref.jsonl"), Enumerable.Range(0, 3).Select(i => new JsonObject { ["uid"] = $"val:set:file:c{i}:report_generation:0", ["task_type"] = "report_generation", ["raw_answer"] = $"Polyp {i}." }.ToJsonString()));
        File.WriteAllLines(_folder.File("pred.jsonl"), Enumerable.Range(0, 3).Select(i => new JsonObject { ["uid"] = $"val:set:file:c{i}:report_generation:0", ["prediction"] = $"A polyp, number {i}." }.ToJsonString()));
    }

    public void Dispose() => _folder.Dispose();

    private Finished Eval(params string[] arguments) => GemmacoreProcess.RunIn(_folder.Path, ["eval", "--pred", "pred.jsonl", "--ref", "ref.jsonl", "--bootstrap", "0", .. arguments]);

    private void Answers(params string[] texts) => File.WriteAllLines(_folder.File("judge.jsonl"), texts.Select((text, i) => new JsonObject { ["uid"] = $"val:set:file:c{i}:report_generation:0", ["prediction"] = text }.ToJsonString()));

    [Fact]
    public void Questions_go_out_and_answers_come_back()
    {
        Assert.Contains("q.jsonl: 3 questions", Eval("--judge", "crimson", "--judge-questions", "q.jsonl").Expect(0).Output, StringComparison.Ordinal);
        JsonNode[] questions = [.. File.ReadAllLines(_folder.File("q.jsonl")).Select(line => JsonNode.Parse(line)!)];
        Assert.Contains("Polyp 1.", (string)questions[1]["prompt"]!, StringComparison.Ordinal);
        Assert.Contains("A polyp, number 1.", (string)questions[1]["prompt"]!, StringComparison.Ordinal);
        Answers(Perfect, Perfect.Replace("\"errors\": {}", "\"errors\": {\"attribute_errors\": [{\"ref_id\": \"R1\", \"severity\": \"significant\"}]}", StringComparison.Ordinal), "I cannot say.");
        Finished finished = Eval("--judge", "crimson", "--judge-answers", "judge.jsonl", "--json", "--out", "out").Expect(0);
        Assert.Contains("note: 1 of 3 reports have no answer of the judge that can be read and are left out", finished.Error, StringComparison.Ordinal);
        JsonNode score = JsonNode.Parse(finished.Output)!["mean"]!["crimson_score"]!;
        Assert.Equal((1 + 0.6667) / 2, (double)score["value"]!, 1e-9);
        Assert.Equal((1 + 0.6667) / 2, (double)JsonNode.Parse(File.ReadAllText(_folder.File("out/scores.json")))!["mean"]!["crimson_score"]!, 1e-9);
        const string Green = "[Clinically Significant Errors]:\n(a) x: 1. y\n[Matched Findings]:\n3. a; b; c";
        Answers(Green, Green, Green);
        Assert.Equal(0.75, (double)JsonNode.Parse(Eval("--judge", "green", "--judge-answers", "judge.jsonl", "--json").Expect(0).Output)!["mean"]!["green_score"]!["value"]!);
    }

    [Fact]
    public void A_judge_runs_here_its_answers_are_kept_and_nothing_is_made_of_what_cannot_be_read()
    {
        string[] judged = ["--judge", "crimson", "--judge-model", "demo", "--judge-max-tokens", "4", "--judge-prompt", "p.txt", "--out", "out"];
        File.WriteAllText(_folder.File("p.txt"), "{reference} {prediction}");
        Finished first = Eval(judged).Expect(1);
        Assert.Contains("judged 3/3", first.Error, StringComparison.Ordinal);
        Assert.Contains("none of 3 reports has an answer of the judge that can be read; a judge needs the prompt that it was tuned with", first.Error, StringComparison.Ordinal);
        // The model is not asked again about the same reports; what it might have said is put into its mouth.
        string[] lines = File.ReadAllLines(_folder.File("out/crimson_answers.jsonl"));
        Assert.Equal(3, lines.Length);
        File.WriteAllLines(_folder.File("out/crimson_answers.jsonl"), lines.Select(line =>
        {
            JsonNode item = JsonNode.Parse(line)!;
            item["prediction"] = Perfect;
            return item.ToJsonString();
        }));
        Finished second = Eval(judged).Expect(0);
        Assert.DoesNotContain("judged", second.Error, StringComparison.Ordinal);
        Assert.Contains("crimson_score", second.Output, StringComparison.Ordinal);
        // Another prediction is another question.
        File.WriteAllText(_folder.File("pred.jsonl"), File.ReadAllText(_folder.File("pred.jsonl")).Replace("number 1", "number 7", StringComparison.Ordinal));
        Assert.Contains("judged 3/3", Eval(judged).Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, "--judge: expected one of --judge-model, --judge-answers and --judge-questions", "--judge", "crimson")]
    [InlineData(2, "--judge: say which judge it is, crimson or green", "--judge-answers", "judge.jsonl")]
    [InlineData(2, "--out: a judge's answers are kept beside the scores; name a folder", "--judge", "green", "--judge-model", "demo")]
    [InlineData(2, "--compare: a judge answers about one file of predictions", "--judge", "green", "--judge-answers", "judge.jsonl", "--compare", "pred.jsonl")]
    [InlineData(2, "--text: reports are scored by their words or by a judge", "--judge", "green", "--judge-answers", "judge.jsonl", "--text", "rouge")]
    [InlineData(2, "--judge-prompt none.txt: not found", "--judge", "green", "--judge-answers", "judge.jsonl", "--judge-prompt", "none.txt")]
    [InlineData(1, "the judge's prompt lacks {reference}", "--judge", "green", "--judge-answers", "judge.jsonl", "--judge-prompt", "pred.jsonl")]
    [InlineData(1, "judge.jsonl: not found", "--judge", "green", "--judge-answers", "judge.jsonl")]
    public void What_does_not_fit_is_one_line_with_the_remedy(int exitCode, string problem, params string[] arguments)
    {
        string error = Eval(arguments).Expect(exitCode).Error;
        Assert.Contains(problem, error, StringComparison.Ordinal);
        Assert.Single(error.Trim().Split('\n'));
    }
}
