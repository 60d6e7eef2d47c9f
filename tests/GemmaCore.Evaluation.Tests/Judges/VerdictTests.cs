using System.Globalization;
using System.Text.Json;
using CsCheck;
using GemmaCore.Evaluation.Judges;

namespace GemmaCore.Evaluation.Tests.Judges;

/// <summary>Answers as judges write them, made here; figures by hand from flare.md §8.2 and §8.3.</summary>
public class VerdictTests
{
    private const string Names = "urgent,actionable_not_urgent,not_actionable_not_urgent,benign_expected";

    // Findings by the first letter of their significance, matches "R1P1", false and missing ids, attribute errors "R1s" (significant) or "R1n".
    private static string Judge(string references, string predictions, string matches, string falseIds = "", string missingIds = "", string attributes = "")
    {
        string Significance(char letter) => Names.Split(',').First(name => name[0] == letter);
        object[] Findings(string letters, string id) => [.. letters.Select((letter, index) => new { id = $"{id}{index + 1}", finding = "x", clinical_significance = Significance(letter) })];
        string[] Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return JsonSerializer.Serialize(new
        {
            reference_findings = Findings(references, "R"),
            predicted_findings = Findings(predictions, "P"),
            matched_findings = Words(matches).Select(match => new { ref_id = match[..2], pred_id = match[2..] }),
            errors = new
            {
                false_findings = Words(falseIds),
                missing_findings = Words(missingIds),
                attribute_errors = Words(attributes).Select(error => new { ref_id = error[..2], pred_id = "P1", severity = error[2] == 's' ? "significant" : "negligible", error_types = new[] { "location" }, explanation = "" }),
            },
        });
    }

    [Theory]
    [InlineData("u", "u", "R1P1", "", "", "", 1)] // everything found
    [InlineData("", "", "", "", "", "", 1)] // nothing to find, nothing found
    [InlineData("ua", "u", "R1P1", "", "R2", "", 0.6667)] // 1 of 1.5
    [InlineData("u", "u", "R1P1", "", "", "R1s", 0.6667)] // 1·1/(1+.5)
    [InlineData("u", "u", "R1P1", "", "", "R1s R1s", 0.5)]
    [InlineData("a", "a", "R1P1", "", "", "R1s", 0.5)] // .5·.5/(.5+.5), of .5
    [InlineData("u", "u", "R1P1", "", "", "R1n", 1)]
    [InlineData("u", "uu", "R1P1", "P2", "", "", 0)] // one right, one invented
    [InlineData("u", "u", "", "P1", "R1", "", -0.5)] // d = 1
    [InlineData("", "u", "", "P1", "", "", -0.5)]
    [InlineData("", "uu", "", "P1 P2", "", "", -0.6667)]
    [InlineData("b", "b", "", "P1", "R1", "", 1)] // of no consequence on either side
    [InlineData("bu", "nu", "R2P2", "P1", "R1", "", 0.75)]
    [InlineData("u", "u", "R1P1 R1P1", "", "", "", 1)] // matched twice counts once
    [InlineData("u", "u", "R1P1", "P9", "R9", "", 1)] // ids that stand for nothing
    [InlineData("u", "u", "", "", "R1", "", 0)]
    public void CRIMSON_is_the_weight_of_what_was_found_less_what_was_invented(string references, string predictions, string matches, string falseIds, string missing, string attributes, double score)
    {
        string answer = Judge(references, predictions, matches, falseIds, missing, attributes);
        Assert.Equal(score, CrimsonVerdict.Score(answer)!.Value, 1e-9);
        Assert.Equal(score, CrimsonVerdict.Score($"<unused94>thought {{}}<unused95>Here it is:\n```json\n{answer}\n```\n")!.Value, 1e-9);
    }

    [Theory]
    [InlineData("")]
    [InlineData("The reports agree.")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"reference_findings\": [], \"predicted_findings\": [], \"matched_findings\": []}")]
    [InlineData("{\"reference_findings\": [{\"id\": \"R1\", \"clinical_significance\": \"grave\"}], \"predicted_findings\": [], \"matched_findings\": [], \"errors\": {}}")]
    [InlineData("{\"reference_findings\": [{\"id\": null, \"clinical_significance\": \"urgent\"}], \"predicted_findings\": [], \"matched_findings\": [], \"errors\": {}}")]
    [InlineData("{\"reference_findings\": 3, \"predicted_findings\": [], \"matched_findings\": [], \"errors\": {}}")]
    [InlineData("{\"reference_findings\": [], \"predicted_findings\": [], \"matched_findings\": [7], \"errors\": {}}")]
    [InlineData("{\"reference_findings\": [], \"predicted_findings\": [], \"matched_findings\": [], \"errors\": {\"attribute_errors\": [{\"ref_id\": \"R1\", \"severity\": \"small\"}]}}")]
    public void A_CRIMSON_answer_that_cannot_be_read_is_no_verdict(string answer) => Assert.Null(CrimsonVerdict.Score(answer));

    [Fact]
    public void CRIMSON_stays_in_its_bounds_and_an_answer_that_is_cut_off_is_no_verdict()
    {
        Gen<string> letters = Gen.Char["uanb"].Array[0, 4].Select(array => new string(array));
        Gen.Select(letters, letters, Gen.Int[0, 15], Gen.Int[0, 15]).Sample((references, predictions, matched, invented) =>
        {
            string matches = string.Join(' ', Enumerable.Range(0, Math.Min(references.Length, predictions.Length)).Where(i => (matched >> i & 1) == 1).Select(i => $"R{i + 1}P{i + 1}"));
            string falses = string.Join(' ', Enumerable.Range(0, predictions.Length).Where(i => (invented >> i & 1) == 1).Select(i => $"P{i + 1}"));
            string answer = Judge(references, predictions, matches, falses);
            double? score = CrimsonVerdict.Score(answer);
            Assert.InRange(score!.Value, -0.9999999, 1);
            Assert.Null(CrimsonVerdict.Score(answer[..^1]));
        });
    }

    private static string Green(string significant, string matched, string heading = "[Matched Findings]:") => string.Create(CultureInfo.InvariantCulture, $"""
        [Explanation]:
        The candidate (a) adds: 7. An effusion.

        [Clinically Significant Errors]:
        {significant}

        [Clinically Insignificant Errors]:
        (a) False report of a finding in the candidate: 9. Many.

        {heading}
        {matched}
        """);

    [Theory]
    [InlineData("(a) False report of a finding in the candidate: 2. Low volumes; Edema.\n(b) Missing a finding present in the reference: 1. Effusion.\n(c) Wrong place: 0.", "3. Heart size; Lungs; Bones", 0.5)]
    [InlineData("(a) False report: 0.\n(b) Missing: 0.", "4. a; b; c; d", 1)]
    [InlineData("(a) False report: 2. x; y", "0.", 0)]
    [InlineData("(a) False report: 0.", "0", 0)]
    [InlineData("No errors.", "2. a; b", 1)]
    [InlineData("(a) False report: 1. x", "No matched findings.", 0)]
    public void GREEN_is_the_share_of_matches_among_matches_and_significant_errors(string significant, string matched, double score) =>
        Assert.Equal(score, GreenVerdict.Score(Green(significant, matched)));

    [Theory]
    [InlineData("")]
    [InlineData("[Matched Findings]:\n3. a; b; c")]
    [InlineData("[Clinically Significant Errors]:\n(a) x: 1. y")]
    [InlineData("[Clinically Significant Errors]:\nseveral\n\n[Matched Findings]:\n3. a")]
    [InlineData("[Clinically Significant Errors]:\n(a) x: 1. y\n\n[Matched Findings]:\nthe heart")]
    public void A_GREEN_answer_that_cannot_be_read_is_no_verdict(string answer) => Assert.Null(GreenVerdict.Score(answer));

    [Fact]
    public void Any_text_is_judged_without_an_exception() => Gen.Select(Gen.String, Gen.Int[0, 400]).Sample((noise, cut) =>
    {
        foreach (string answer in (string[])[Judge("ua", "un", "R1P1", "P2", "R2", "R1s"), Green("(a) x: 1. y", "2. z")])
        {
            string damaged = answer[..Math.Min(cut, answer.Length)] + noise + answer[Math.Min(cut, answer.Length)..];
            Assert.True(CrimsonVerdict.Score(damaged) is null or (> -1 and <= 1));
            Assert.True(GreenVerdict.Score(damaged) is null or (>= 0 and <= 1));
        }
    });

    [Fact]
    public void Judged_reports_are_a_mean_over_verdicts_in_any_order_with_intervals()
    {
        EvaluationRow[] rows = [.. Enumerable.Range(0, 9).Select(number => Rows.Row(TaskType.ReportGeneration, "a", "b", number))];
        var answers = rows.Take(8).ToDictionary(row => row.Uid, row => row.Uid.EndsWith("_000000:report_generation:0", StringComparison.Ordinal) ? "unreadable" : Judge("u", "u", row.Uid[^1] % 2 == 0 ? "R1P1" : "", "", "", ""));
        double expected = rows.Select(row => answers.TryGetValue(row.Uid, out string? answer) ? CrimsonVerdict.Score(answer) : null).Average()!.Value;
        ScoringRules rules = ScoringRules.Flare26.With(new JudgeScoring("crimson_score", CrimsonVerdict.Score, answers));
        EvaluationResult result = new Evaluator(rules, 50, 1).Score(Rows.Matched(rows));
        MetricValue figure = result.Mean.Single();
        Assert.Equal(("crimson_score", expected), (figure.Name, figure.Value));
        Assert.InRange(expected, figure.Interval!.Value.Low, figure.Interval.Value.High);
        Assert.Equal(7, result.Rows.Count(row => row.Parsed));
        Assert.Equal(figure.Interval, new Evaluator(rules, 50, 1).Score(Rows.Matched(rows.Reverse())).Mean.Single().Interval);
    }

    [Fact]
    public void A_prompt_holds_both_reports_once_and_needs_both_blanks()
    {
        Assert.Equal("b: a{reference} / a: {prediction}b", new JudgePrompt("b: {prediction} / a: {reference}").Ask("{prediction}b", "a{reference}"));
        foreach (var judge in JudgeScoring.Judges)
        {
            string question = judge.Prompt.Ask("REF", "PRED");
            Assert.Contains("REF", question, StringComparison.Ordinal);
            Assert.Contains("PRED", question, StringComparison.Ordinal);
        }

        Assert.Contains("lacks {prediction}", Assert.Throws<EvaluationException>(() => new JudgePrompt("{reference}")).Message, StringComparison.Ordinal);
    }
}
