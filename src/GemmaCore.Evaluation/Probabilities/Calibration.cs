namespace GemmaCore.Evaluation.Probabilities;

/// <summary>A bin of a reliability diagram.</summary>
/// <param name="Count">Predictions in it.</param>
/// <param name="Confidence">Their mean confidence; not a number in an empty bin.</param>
/// <param name="Accuracy">Share of them that are right.</param>
public readonly record struct ReliabilityBin(int Count, double Confidence, double Accuracy);

/// <summary>Whether confidences mean what they say.</summary>
public static class Calibration
{
    /// <summary>Predictions sorted by confidence into bins of one width.</summary>
    /// <param name="confidences">From 0 to 1.</param>
    /// <param name="isRight">Whether each prediction was right.</param>
    /// <param name="bins">How many bins.</param>
    public static ReliabilityBin[] Reliability(IReadOnlyList<double> confidences, IReadOnlyList<bool> isRight, int bins = 15)
    {
        ArgumentNullException.ThrowIfNull(confidences);
        ArgumentNullException.ThrowIfNull(isRight);
        ArgumentOutOfRangeException.ThrowIfLessThan(bins, 1);
        if (confidences.Count != isRight.Count) throw new ArgumentException($"{confidences.Count} confidences for {isRight.Count} predictions", nameof(confidences));
        int[] counts = new int[bins], right = new int[bins];
        double[] sums = new double[bins];
        for (int i = 0; i < confidences.Count; i++)
        {
            if (confidences[i] is not (>= 0 and <= 1)) throw new EvaluationException($"confidence {confidences[i]} of prediction {i} is not from 0 to 1");
            int bin = Math.Min(bins - 1, (int)(confidences[i] * bins));
            counts[bin]++;
            sums[bin] += confidences[i];
            if (isRight[i]) right[bin]++;
        }

        return [.. counts.Select((count, bin) => new ReliabilityBin(count, sums[bin] / count, (double)right[bin] / count))];
    }

    /// <summary>Expected calibration error (Naeini et al., 2015): the mean distance of confidence and accuracy, bins weighted by what is in them. 0 of nothing.</summary>
    public static double ExpectedError(IReadOnlyList<ReliabilityBin> bins)
    {
        ArgumentNullException.ThrowIfNull(bins);
        int total = bins.Sum(bin => bin.Count);
        return bins.Where(bin => bin.Count > 0).Sum(bin => Math.Abs(bin.Confidence - bin.Accuracy) * bin.Count / total);
    }

    /// <summary>
    /// The temperature by which log-probabilities are divided to make the right labels most likely (Guo et al., 2017): above 1 where the model is too sure of itself.
    /// </summary>
    /// <param name="logprobs">Per row those of its labels; they need not be normalised.</param>
    /// <param name="right">Per row the index of its right label.</param>
    /// <returns>From 0.01 to 100.</returns>
    public static double BestTemperature(IReadOnlyList<IReadOnlyList<double>> logprobs, IReadOnlyList<int> right)
    {
        ArgumentNullException.ThrowIfNull(logprobs);
        ArgumentNullException.ThrowIfNull(right);
        if (logprobs.Count == 0 || logprobs.Count != right.Count) throw new ArgumentException($"{logprobs.Count} rows of log-probabilities for {right.Count} labels", nameof(logprobs));
        // The loss is convex in 1/T: golden sections on the logarithm of T.
        double low = Math.Log(0.01), high = Math.Log(100), section = (Math.Sqrt(5) - 1) / 2;
        while (high - low > 1e-9)
        {
            double lower = high - (section * (high - low)), upper = low + (section * (high - low));
            if (Loss(logprobs, right, Math.Exp(lower)) <= Loss(logprobs, right, Math.Exp(upper))) high = upper;
            else low = lower;
        }

        return Math.Exp((low + high) / 2);
    }

    /// <summary>Mean negative log-likelihood of the right labels at a temperature.</summary>
    public static double Loss(IReadOnlyList<IReadOnlyList<double>> logprobs, IReadOnlyList<int> right, double temperature)
    {
        ArgumentNullException.ThrowIfNull(logprobs);
        ArgumentNullException.ThrowIfNull(right);
        double sum = 0;
        for (int i = 0; i < logprobs.Count; i++)
        {
            double most = logprobs[i].Max() / temperature;
            sum += most + Math.Log(logprobs[i].Sum(value => Math.Exp((value / temperature) - most))) - (logprobs[i][right[i]] / temperature);
        }

        return sum / logprobs.Count;
    }
}
