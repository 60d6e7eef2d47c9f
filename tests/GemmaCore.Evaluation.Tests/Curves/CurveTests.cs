using CsCheck;
using static GemmaCore.Evaluation.Tests.Rows;

namespace GemmaCore.Evaluation.Tests;

public class CurveTests
{
    private static readonly Gen<(double Score, bool Positive)[]> AnyScores = Gen.Select(Gen.Int[0, 6].Select(score => score / 6.0), Gen.Bool).Array[2, 60];

    private static AreaUnderCurve? Area((double Score, bool Positive)[] rows) => RocCurve.Area([.. rows.Select(row => row.Score)], [.. rows.Select(row => row.Positive)]);

    // Mann-Whitney and DeLong pair by pair.
    private static (double Area, double Variance) Plain((double Score, bool Positive)[] rows)
    {
        double[] positives = [.. rows.Where(row => row.Positive).Select(row => row.Score)], negatives = [.. rows.Where(row => !row.Positive).Select(row => row.Score)];
        double Wins(double positive, double negative) => positive > negative ? 1 : positive == negative ? 0.5 : 0;
        double area = positives.Average(p => negatives.Average(n => Wins(p, n)));
        double Variance(double[] values) => values.Length > 1 ? values.Sum(value => (value - area) * (value - area)) / (values.Length - 1) / values.Length : 0;
        return (area, Variance([.. positives.Select(p => negatives.Average(n => Wins(p, n)))]) + Variance([.. negatives.Select(n => positives.Average(p => Wins(p, n)))]));
    }

    [Fact]
    public void Area_and_interval_by_ranks_are_those_of_all_pairs() => AnyScores.Sample(
        rows =>
        {
            if (Area(rows) is not { } curve)
            {
                Assert.True(rows.All(row => row.Positive) || !rows.Any(row => row.Positive));
                return;
            }

            (double area, double variance) = Plain(rows);
            Assert.Equal(area, curve.Area, 1e-12);
            Assert.Equal(Math.Max(0, area - 1.959963984540054 * Math.Sqrt(variance)), curve.Interval.Low, 1e-9);
            Assert.InRange(curve.Area, 0, 1);
        },
        iter: 2000);

    [Fact]
    public void The_order_of_rows_and_any_rising_function_of_scores_change_no_area() => Gen.Select(AnyScores, Gen.Int).Sample((rows, seed) =>
    {
        (double Score, bool Positive)[] shuffled = [.. rows.Select(row => (Math.Exp(3 * row.Score), row.Positive))];
        new Random(seed).Shuffle(shuffled);
        return Area(rows) is not { } curve || Math.Abs(curve.Area - Area(shuffled)!.Area) < 1e-12;
    });

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
        Assert.Equal((1.0, 1.0), (curves.Labels[0].AtHalf.Sensitivity, curves.Labels[0].AtHalf.Specificity));
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
    }

    // 80 % right at a confidence of 80 % is calibrated; at 95 % the error is 0.15 and a higher temperature mends it.
    [Theory]
    [InlineData(0.8, 0, 1)]
    [InlineData(0.95, 0.15, 2.124)]
    public void Calibration_error_and_temperature(double confidence, double error, double temperature)
    {
        (double[], int)[] rows = [.. Enumerable.Range(0, 100).Select(i => ((double[])[Math.Log(confidence), Math.Log(1 - confidence)], i % 5 == 0 ? 1 : 0))];
        Calibration calibration = Calibration.Of(rows)!;
        Assert.Equal(error, calibration.ExpectedError, 1e-9);
        // Two options: the temperature that turns their log-odds into those of 80 %.
        Assert.Equal(Math.Log(confidence / (1 - confidence)) / Math.Log(4), calibration.Temperature, 1e-3);
        Assert.Equal(temperature, calibration.Temperature, 1e-3);
        Assert.Equal(0, calibration.ErrorAtTemperature, 1e-3);
    }

    [Fact]
    public void Probabilities_add_up_to_1_even_where_options_are_impossible()
    {
        Assert.Equal(1, Calibration.Softmax([double.NegativeInfinity, -3, -800]).Sum(), 1e-15);
        Assert.Equal([0.5, 0.5], Calibration.Softmax([double.NegativeInfinity, double.NegativeInfinity]));
    }
}
