using GemmaCore.Evaluation.Probabilities;

namespace GemmaCore.Evaluation.Tests.Probabilities;

public sealed class RocCurveTests
{
    [Fact]
    public void By_hand()
    {
        var curve = new RocCurve("a", [0.9, 0.8, 0.3, 0.2, 0.2], [true, false, true, false, true]);
        // Pairs of a positive and a negative: 0.9 beats both, 0.3 one, the last 0.2 ties one: 3.5 of 6.
        Assert.Equal(3.5 / 6, curve.Auc, 1e-12);
        Assert.Equal((2.0 / 3, 0.5), curve.At(0.3));
        Assert.Equal((0, 0), curve.Points[0]);
        Assert.Equal((1, 1), curve.Points[^1]);
        Assert.Equal(1, new RocCurve("a", [3, 2, 1], [true, true, false]).Auc);
        Assert.Equal(2, new RocCurve("a", [3, 2, 1], [true, true, false]).BestThreshold);
        Assert.True(double.IsNaN(new RocCurve("a", [3, 2], [true, false]).StandardError));
    }

    [Fact]
    public void The_area_is_that_of_all_pairs_and_of_the_curve_in_any_order()
    {
        var random = new Random(8);
        for (int round = 0; round < 200; round++)
        {
            int count = random.Next(2, 40);
            bool[] has = [true, false, .. Enumerable.Range(0, count).Select(_ => random.Next(2) == 0)];
            double[] scores = [.. has.Select(_ => random.Next(6) / 5.0)]; // many ties
            var curve = new RocCurve("a", scores, has);
            double pairs = 0, won = 0;
            for (int i = 0; i < has.Length; i++)
                for (int j = 0; j < has.Length; j++)
                    if (has[i] && !has[j]) (pairs, won) = (pairs + 1, won + (scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0));
            Assert.Equal(won / pairs, curve.Auc, 1e-12);
            Assert.Equal(curve.Auc, curve.Points.Skip(1).Zip(curve.Points, (b, a) => (b.FalsePositives - a.FalsePositives) * (a.TruePositives + b.TruePositives) / 2).Sum(), 1e-12);
            Assert.Equal(curve.Auc, new RocCurve("a", [.. scores.Reverse()], [.. has.Reverse()]).Auc, 1e-12);
            Assert.Equal(1 - curve.Auc, new RocCurve("a", [.. scores.Select(score => -score)], has).Auc, 1e-12);
            Assert.InRange(curve.Auc, 0, 1);
        }
    }

    // DeLong's standard error is what resampling finds, and his interval holds the truth about as often as it says.
    [Fact]
    public void The_standard_error_is_that_of_resampling_and_the_interval_covers()
    {
        var random = new Random(4);
        const double truth = 0.7602499389; // Φ(1/√2): positives are one standard deviation higher
        int covered = 0;
        for (int round = 0; round < 400; round++)
        {
            (double Low, double High) interval = Draw(random, 60, 80).Interval;
            if (interval.Low <= truth && truth <= interval.High) covered++;
        }

        Assert.InRange(covered, 360, 396);
        RocCurve curve = Draw(random, 200, 300);
        double[] areas = [.. Enumerable.Range(0, 2000).Select(_ => Draw(random, 200, 300).Auc)];
        double mean = areas.Average(), deviation = Math.Sqrt(areas.Average(area => (area - mean) * (area - mean)));
        Assert.InRange(curve.StandardError / deviation, 0.85, 1.15);
    }

    [Fact]
    public void One_class_is_an_error_that_names_the_label()
    {
        Assert.Contains("label 'drusen': 0 rows have it and 3 do not", Assert.Throws<EvaluationException>(() => new RocCurve("drusen", [1, 2, 3], [false, false, false])).Message, StringComparison.Ordinal);
        Assert.Contains("label 'drusen': a score is not a number", Assert.Throws<EvaluationException>(() => new RocCurve("drusen", [1, double.NaN], [false, true])).Message, StringComparison.Ordinal);
    }

    private static RocCurve Draw(Random random, int positives, int negatives)
    {
        double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        return new RocCurve("a", [.. Enumerable.Range(0, positives).Select(_ => Normal() + 1), .. Enumerable.Range(0, negatives).Select(_ => Normal())], [.. Enumerable.Repeat(true, positives), .. Enumerable.Repeat(false, negatives)]);
    }
}
