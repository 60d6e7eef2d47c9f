using CsCheck;
using GemmaCore.Evaluation.Probabilities;

namespace GemmaCore.Evaluation.Tests.Probabilities;

public sealed class CalibrationTests
{
    [Fact]
    public void Bins_and_their_error_by_hand()
    {
        ReliabilityBin[] bins = Calibration.Reliability([0.1, 0.2, 0.9, 1, 1], [false, true, true, true, false], bins: 2);
        Assert.Equal([2, 3], bins.Select(bin => bin.Count));
        Assert.Equal([0.15, 2.9 / 3], bins.Select(bin => bin.Confidence), (x, y) => Math.Abs(x - y) < 1e-12);
        Assert.Equal([0.5, 2.0 / 3], bins.Select(bin => bin.Accuracy), (x, y) => Math.Abs(x - y) < 1e-12);
        Assert.Equal(((0.35 * 2) + (0.3 * 3)) / 5, Calibration.ExpectedError(bins), 1e-12);
        Assert.Equal(0, Calibration.ExpectedError(Calibration.Reliability([], [])));
        Assert.Throws<EvaluationException>(() => Calibration.Reliability([1.2], [true]));
        Assert.Throws<EvaluationException>(() => Calibration.Reliability([double.NaN], [true]));
    }

    [Fact]
    public void The_error_keeps_within_0_and_1_and_is_the_same_in_any_order() => Gen.Select(Gen.Select(Gen.Double[0, 1], Gen.Bool).Array[1, 50], Gen.Int).Sample((rows, seed) =>
    {
        double error = Calibration.ExpectedError(Calibration.Reliability([.. rows.Select(row => row.Item1)], [.. rows.Select(row => row.Item2)]));
        Assert.InRange(error, 0, 1);
        new Random(seed).Shuffle(rows);
        Assert.Equal(error, Calibration.ExpectedError(Calibration.Reliability([.. rows.Select(row => row.Item1)], [.. rows.Select(row => row.Item2)])), 1e-12);
        Assert.Equal(0, Calibration.ExpectedError(Calibration.Reliability([.. rows.Select(row => row.Item2 ? 1.0 : 0)], [.. rows.Select(row => row.Item2)])));
    });

    // Labels are drawn from probabilities that are then made too sure by a factor: that factor is what is found again.
    [Theory]
    [InlineData(0.5)]
    [InlineData(1)]
    [InlineData(3)]
    public void The_temperature_undoes_too_much_confidence(double factor)
    {
        var random = new Random(6);
        var rows = new List<IReadOnlyList<double>>();
        var right = new List<int>();
        for (int i = 0; i < 20_000; i++)
        {
            double[] logits = [random.NextDouble() * 3, random.NextDouble() * 3, random.NextDouble() * 3];
            double[] shares = [.. logits.Select(Math.Exp)];
            double draw = random.NextDouble() * shares.Sum();
            right.Add(draw < shares[0] ? 0 : draw < shares[0] + shares[1] ? 1 : 2);
            rows.Add([.. logits.Select(logit => logit * factor)]);
        }

        double temperature = Calibration.BestTemperature(rows, right);
        Assert.InRange(temperature / factor, 0.95, 1.05);
        foreach (double other in (double[])[temperature * 0.99, temperature * 1.01]) Assert.True(Calibration.Loss(rows, right, temperature) <= Calibration.Loss(rows, right, other));
    }

    [Fact]
    public void A_temperature_needs_rows() => Assert.Throws<ArgumentException>(() => Calibration.BestTemperature([], []));
}
