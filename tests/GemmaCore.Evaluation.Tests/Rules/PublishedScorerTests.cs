using System.Globalization;
using System.Text.Json;
using GemmaCore.Testing;
using static GemmaCore.Evaluation.Tests.Rows;

namespace GemmaCore.Evaluation.Tests;

/// <summary>A1 to A3 of flare.md §11: 600 made-up rows and what each scores by an independent program that does what the published scorers do (tools/flare_goldens.py).</summary>
public class PublishedScorerTests
{
    private static readonly JsonElement[] Lines = [.. File.ReadLines(Goldens.Path("flare/answers.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)];

    [Theory]
    [InlineData("flare26")]
    [InlineData("official")]
    [InlineData("flare25")]
    public void A1_to_A3_every_odd_answer_scores_as_in_the_published_scorers(string rules)
    {
        ScoringRules chosen = ScoringRules.All.First(one => one.Name == rules);
        string[] wrong = [.. Lines.Where(line => !Agrees(chosen, line, line.GetProperty(rules))).Select(line => line.GetRawText())];
        Assert.True(wrong.Length == 0, $"{wrong.Length} of {Lines.Length}, the first: {wrong.FirstOrDefault()}");
        Assert.Equal(600, Lines.Length);
    }

    private static bool Agrees(ScoringRules rules, JsonElement line, JsonElement expected)
    {
        string task = line.GetProperty("task").GetString()!;
        bool instance = task == "instance_detection";
        TaskScoring scoring = rules.For(TaskTypes.Parse(task)!.Value, instance)!;
        ScoredRow row = scoring.Read(Row(TaskTypes.Parse(task)!.Value, line.GetProperty("reference").GetString()!, line.GetProperty("prediction").GetString(), instance: instance));
        if (expected.ValueKind == JsonValueKind.Null) return row.Score is null;
        double[] values = scoring.Sample([row]).Measure(scoring.Metrics.Count);
        double Figure(string name) => values[scoring.Metrics.ToList().IndexOf(name)];
        return expected.ValueKind switch
        {
            JsonValueKind.True or JsonValueKind.False => row.Score == (expected.GetBoolean() ? 1 : 0),
            JsonValueKind.Array => expected.EnumerateArray().Zip(values).All(pair => Near(pair.First.GetDouble(), pair.Second)),
            JsonValueKind.Object => expected.EnumerateObject().All(threshold => threshold.Value.EnumerateArray().Zip((string[])["tp", "fp", "fn"])
                .All(count => count.First.GetInt32() == Figure(string.Create(CultureInfo.InvariantCulture, $"{scoring.Task}_iou_{threshold.Name}_{count.Second}")))),
            JsonValueKind.String => double.IsPositiveInfinity(values[0]),
            _ => Near(expected.GetDouble(), values[0]),
        };
    }

    private static bool Near(double expected, double value) => Math.Abs(expected - value) <= 1e-9 * Math.Max(1, Math.Abs(expected));
}
