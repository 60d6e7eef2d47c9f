using GemmaCore.Evaluation.Text;
using static GemmaCore.Evaluation.Tests.Rows;

namespace GemmaCore.Evaluation.Tests;

public class LabelCurvesTests
{
    [Fact]
    public void A_label_with_one_class_is_listed_and_has_no_area()
    {
        EvaluationRow[] rows = [.. Enumerable.Range(0, 6).Select(i => Row(TaskType.Classification, i < 3 ? "A" : "B", "A", i) with
        {
            Scores = new Dictionary<string, double> { ["A"] = i < 3 ? -0.1 : -2, ["B"] = i < 3 ? -2 : -0.1, ["C"] = -5 },
        })];
        LabelCurves curves = Assert.Single(LabelCurves.Of(new Evaluator(ScoringRules.Flare26, 0, 0).Score(Matched(rows))));
        Assert.Equal(["c"], curves.Skipped);
        Assert.Equal(1, curves.MacroArea);
        Assert.Equal((1.0, 1.0), (curves.Labels[0].Sensitivity, curves.Labels[0].Specificity));
        string details = ScoreFiles.Details(new Evaluator(ScoringRules.Flare26, 0, 0).Score(Matched(rows)), []).ToJsonString();
        Assert.Contains("\"labels_with_one_class\":[\"c\"]", details, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", details, StringComparison.Ordinal);
    }

    [Fact]
    public void Labels_of_a_multi_label_question_are_scored_one_by_one()
    {
        EvaluationRow[] rows = [.. Enumerable.Range(0, 8).Select(i => Row(TaskType.MultiLabelClassification, i % 2 == 0 ? "drusen; exudate" : "exudate", "", i) with
        {
            Scores = new Dictionary<string, double> { ["drusen"] = Math.Log(i % 2 == 0 ? 0.9 : 0.2), ["exudate"] = Math.Log(0.8) },
        })];
        LabelCurves curves = Assert.Single(LabelCurves.Of(new Evaluator(ScoringRules.Flare26, 0, 0).Score(Matched(rows))));
        Assert.Equal(("drusen", 1.0), (Assert.Single(curves.Labels).Label, curves.MacroArea));
        Assert.Equal(["exudate"], curves.Skipped);
        Assert.Null(curves.Calibration);
        // Probabilities are 0.9 and 0.2: what counts as said depends on where the line is drawn.
        EvaluationResult result = new Evaluator(ScoringRules.Flare26, 0, 0).Score(Matched(rows));
        foreach ((double threshold, double sensitivity, double specificity) in ((double, double, double)[])[(0.1, 1, 0), (0.5, 1, 1), (0.95, 0, 1)])
        {
            LabelCurve drusen = LabelCurves.Of(result with { LabelThreshold = threshold }).Single().Labels[0];
            Assert.Equal((threshold, sensitivity, specificity), (drusen.Threshold, drusen.Sensitivity, drusen.Specificity));
        }
    }

    // 80 % right at a confidence of 95 %: an error of 0.15, which a temperature that turns those log-odds into log 4 mends.
    [Fact]
    public void Classification_says_how_sure_it_may_be()
    {
        EvaluationRow[] rows = [.. Enumerable.Range(0, 100).Select(i => Row(TaskType.Classification, i % 5 == 0 ? "B" : "A", "A", i) with
        {
            Scores = new Dictionary<string, double> { ["A"] = Math.Log(0.95), ["B"] = Math.Log(0.05) },
        })];
        CalibrationSummary calibration = Assert.Single(LabelCurves.Of(new Evaluator(ScoringRules.Flare26, 0, 0).Score(Matched(rows)))).Calibration!;
        Assert.Equal(0.15, calibration.ExpectedError, 1e-9);
        Assert.Equal(Math.Log(19) / Math.Log(4), calibration.Temperature, 1e-4);
        Assert.Equal(0, calibration.ErrorAtTemperature, 1e-4);
    }

    [Fact]
    public void Impossible_options_and_right_ones_that_were_not_scored_are_no_obstacle()
    {
        EvaluationRow[] rows = [.. Enumerable.Range(0, 4).Select(i => Row(TaskType.Classification, i < 2 ? "A" : "Z", "A", i) with
        {
            Scores = new Dictionary<string, double> { ["A"] = double.NegativeInfinity, ["B"] = i == 0 ? double.NegativeInfinity : -1 },
        })];
        LabelCurves curves = Assert.Single(LabelCurves.Of(new Evaluator(ScoringRules.Flare26, 0, 0).Score(Matched(rows))));
        Assert.Equal(["b"], curves.Skipped);
        Assert.Equal(4, curves.Calibration!.Bins.Sum(bin => bin.Count));
    }

    [Fact]
    public void Reports_are_scored_by_their_words_on_request_with_intervals()
    {
        ScoringRules rules = ScoringRules.Flare26.With(new TextScoring(TextScoring.Known));
        (string, string?)[] pairs = [("The heart is normal in size.", "The heart is normal in size."), ("No effusion is seen.", "No fracture is seen."), ("Clear lungs.", null)];
        EvaluationResult result = new Evaluator(rules, 50, 1).Score(Matched(TaskType.ReportGeneration, pairs));
        Assert.Equal(["rouge_l", "bleu_4", "bleu_1", "bleu_2", "bleu_3", "cider_d", "meteor_lite"], result.Mean.Select(metric => metric.Name));
        Assert.Equal((1 + 0.75 + 0) / 3, result.Mean[0].Value, 1e-12);
        Assert.All(result.Mean, metric => Assert.NotNull(metric.Interval));
        // Drawing every row once is scoring the set.
        Assert.Equal(Bleu.Score([.. pairs.Select(pair => TextPair.Of(pair.Item2 ?? "", pair.Item1))])[0], result.Mean[2].Value, 1e-12);
        Assert.Empty(result.Unscored);
    }
}
