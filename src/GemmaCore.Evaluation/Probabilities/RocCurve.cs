namespace GemmaCore.Evaluation.Probabilities;

/// <summary>How well scores tell those that have something from those that do not.</summary>
public sealed class RocCurve
{
    private const double Normal95 = 1.959963984540054;

    private readonly double[] _positives, _negatives; // ascending

    /// <summary>Scores of one label.</summary>
    /// <param name="label">Its name, for messages.</param>
    /// <param name="scores">The higher, the more likely; any monotone scale.</param>
    /// <param name="isPositive">Who has it.</param>
    /// <exception cref="EvaluationException">All are of one class, so that there is no AUC, or a score is not a number.</exception>
    public RocCurve(string label, IReadOnlyList<double> scores, IReadOnlyList<bool> isPositive)
    {
        ArgumentNullException.ThrowIfNull(scores);
        ArgumentNullException.ThrowIfNull(isPositive);
        if (scores.Count != isPositive.Count) throw new ArgumentException($"{scores.Count} scores for {isPositive.Count} rows", nameof(scores));
        if (scores.Any(double.IsNaN)) throw new EvaluationException($"label '{label}': a score is not a number");
        _positives = [.. scores.Where((_, i) => isPositive[i]).Order()];
        _negatives = [.. scores.Where((_, i) => !isPositive[i]).Order()];
        if (_positives.Length == 0 || _negatives.Length == 0)
            throw new EvaluationException($"label '{label}': {_positives.Length} rows have it and {_negatives.Length} do not; an AUC needs both");
        Auc = _positives.Sum(score => Placement(score, _negatives)) / _positives.Length;
    }

    /// <summary>The chance that one who has it scores higher than one who does not, equal scores counting half (Mann and Whitney).</summary>
    public double Auc { get; }

    /// <summary>Standard error of <see cref="Auc"/> (DeLong, DeLong, Clarke-Pearson, 1988); not a number with fewer than two of a class.</summary>
    public double StandardError
    {
        get
        {
            if (_positives.Length < 2 || _negatives.Length < 2) return double.NaN;
            double ofPositives = Variance([.. _positives.Select(score => Placement(score, _negatives))]), ofNegatives = Variance([.. _negatives.Select(score => 1 - Placement(score, _positives))]);
            return Math.Sqrt((ofPositives / _positives.Length) + (ofNegatives / _negatives.Length));
        }
    }

    /// <summary>DeLong's 95 % interval, within [0, 1].</summary>
    public (double Low, double High) Interval => (Math.Max(0, Auc - (Normal95 * StandardError)), Math.Min(1, Auc + (Normal95 * StandardError)));

    /// <summary>Share of those who have it with a score of at least the threshold, and of those who do not with one below.</summary>
    public (double Sensitivity, double Specificity) At(double threshold) =>
        ((double)(_positives.Length - Below(_positives, threshold)) / _positives.Length, (double)Below(_negatives, threshold) / _negatives.Length);

    /// <summary>The threshold with the largest sum of sensitivity and specificity (Youden, 1950); the highest of several.</summary>
    public double BestThreshold => Thresholds.MaxBy(threshold =>
    {
        (double sensitivity, double specificity) = At(threshold);
        return sensitivity + specificity;
    });

    /// <summary>The points of the curve, from (0, 0) to (1, 1): false and true positive rates as the threshold falls.</summary>
    public IReadOnlyList<(double FalsePositives, double TruePositives)> Points =>
    [
        (0, 0),
        .. Thresholds.Select(threshold =>
        {
            (double sensitivity, double specificity) = At(threshold);
            return (1 - specificity, sensitivity);
        }),
    ];

    private IEnumerable<double> Thresholds => _positives.Concat(_negatives).Distinct().OrderDescending();

    // Share of the others below a score, equal ones counting half.
    private static double Placement(double score, double[] others)
    {
        int below = Below(others, score), upTo = Below(others, Math.BitIncrement(score));
        return (below + (0.5 * (upTo - below))) / others.Length;
    }

    // How many of the sorted values are below.
    private static int Below(double[] sorted, double value)
    {
        int low = 0, high = sorted.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (sorted[middle] < value) low = middle + 1;
            else high = middle;
        }

        return low;
    }

    private static double Variance(double[] values)
    {
        double mean = values.Average();
        return values.Sum(value => (value - mean) * (value - mean)) / (values.Length - 1);
    }
}
