namespace GemmaCore.Evaluation;

/// <summary>Area under the ROC curve of one label.</summary>
/// <param name="Area">Mann–Whitney: P(score of a positive > score of a negative) + ½ P(equal).</param>
/// <param name="Interval">95 % interval by DeLong's variance, within 0 and 1.</param>
/// <param name="Positives">Rows that have the label.</param>
/// <param name="Negatives">Rows that do not.</param>
public sealed record AreaUnderCurve(double Area, Interval Interval, int Positives, int Negatives);

/// <summary>Sensitivity and specificity at one threshold.</summary>
/// <param name="Threshold">A row is called positive from this score on.</param>
/// <param name="Sensitivity">Positives called positive; NaN without positives.</param>
/// <param name="Specificity">Negatives called negative; NaN without negatives.</param>
public readonly record struct OperatingPoint(double Threshold, double Sensitivity, double Specificity);

/// <summary>How well a score tells rows with a label from rows without (flare.md §9).</summary>
public static class RocCurve
{
    private const double Normal95 = 1.959963984540054;

    /// <summary>
    /// The area with its interval, n log n by average ranks (Sun and Xu 2014); the variance is DeLong's (1988), from how each positive stands among the negatives and the
    /// other way round. Null where one class is missing: such a label has no area.
    /// </summary>
    /// <param name="scores">A score for each row; higher means more likely.</param>
    /// <param name="isPositive">Whether each row has the label.</param>
    public static AreaUnderCurve? Area(ReadOnlySpan<double> scores, ReadOnlySpan<bool> isPositive)
    {
        if (scores.Length != isPositive.Length) throw new ArgumentException($"{scores.Length} scores, but {isPositive.Length} labels", nameof(isPositive));
        int positives = isPositive.Count(true), negatives = scores.Length - positives;
        if (positives == 0 || negatives == 0) return null;
        double[] all = Ranks(scores), own = new double[scores.Length];
        foreach (bool kind in (bool[])[true, false])
        {
            int[] members = new int[kind ? positives : negatives];
            for (int i = 0, at = 0; i < scores.Length; i++)
                if (isPositive[i] == kind) members[at++] = i;
            double[] values = new double[members.Length];
            for (int i = 0; i < members.Length; i++) values[i] = scores[members[i]];
            double[] ranks = Ranks(values);
            for (int i = 0; i < members.Length; i++) own[members[i]] = ranks[i];
        }

        // Rank among all less rank among its own kind: how many of the other kind stand below, ties by halves.
        double sum = 0;
        for (int i = 0; i < scores.Length; i++)
            if (isPositive[i]) sum += (all[i] - own[i]) / negatives;
        double area = sum / positives, ofPositives = 0, ofNegatives = 0;
        for (int i = 0; i < scores.Length; i++)
        {
            double below = all[i] - own[i];
            if (isPositive[i]) ofPositives += Square(below / negatives - area);
            else ofNegatives += Square(1 - below / positives - area);
        }

        double variance = (positives > 1 ? ofPositives / (positives - 1) / positives : 0) + (negatives > 1 ? ofNegatives / (negatives - 1) / negatives : 0);
        double half = Normal95 * Math.Sqrt(variance);
        return new AreaUnderCurve(area, new Interval(Math.Max(0, area - half), Math.Min(1, area + half)), positives, negatives);
    }

    /// <summary>Sensitivity and specificity when every score from the threshold on is called positive.</summary>
    public static OperatingPoint At(ReadOnlySpan<double> scores, ReadOnlySpan<bool> isPositive, double threshold)
    {
        int positives = 0, found = 0, negatives = 0, spared = 0;
        for (int i = 0; i < scores.Length; i++)
        {
            bool called = scores[i] >= threshold;
            if (isPositive[i]) (positives, found) = (positives + 1, found + (called ? 1 : 0));
            else (negatives, spared) = (negatives + 1, spared + (called ? 0 : 1));
        }

        return new OperatingPoint(threshold, positives == 0 ? double.NaN : (double)found / positives, negatives == 0 ? double.NaN : (double)spared / negatives);
    }

    // Ranks from 1 on, equal scores share the mean of theirs.
    private static double[] Ranks(ReadOnlySpan<double> scores)
    {
        double[] sorted = scores.ToArray(), ranks = new double[scores.Length];
        int[] order = [.. Enumerable.Range(0, scores.Length)];
        Array.Sort(sorted, order);
        for (int start = 0, end; start < order.Length; start = end)
        {
            for (end = start + 1; end < order.Length && sorted[end] == sorted[start]; end++)
            {
            }

            for (int i = start; i < end; i++) ranks[order[i]] = (start + 1 + end) / 2.0;
        }

        return ranks;
    }

    private static double Square(double x) => x * x;
}
