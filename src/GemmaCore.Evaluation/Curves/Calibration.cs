namespace GemmaCore.Evaluation;

/// <summary>One bin of a reliability diagram.</summary>
/// <param name="Low">Lowest confidence, inclusive for the first bin only.</param>
/// <param name="High">Highest confidence.</param>
/// <param name="Rows">Rows in it.</param>
/// <param name="Confidence">Their mean confidence.</param>
/// <param name="Accuracy">Share of them that are right.</param>
public sealed record ReliabilityBin(double Low, double High, int Rows, double Confidence, double Accuracy);

/// <summary>Whether probabilities mean what they say.</summary>
/// <param name="Bins">Bins of equal width that hold rows.</param>
/// <param name="ExpectedError">Expected calibration error: mean |accuracy − confidence| over bins, weighted by rows (Guo et al. 2017).</param>
/// <param name="Temperature">The temperature that fits these rows best: logits are divided by it; above 1 where the model is too sure.</param>
/// <param name="ErrorAtTemperature">Expected calibration error at that temperature, on the same rows.</param>
public sealed record Calibration(IReadOnlyList<ReliabilityBin> Bins, double ExpectedError, double Temperature, double ErrorAtTemperature)
{
    private const int BinCount = 15;
    private const double Coldest = 0.05, Hottest = 20;

    /// <summary>Calibration of the most likely option of each row.</summary>
    /// <param name="rows">Log-probabilities of a row's options, and which one is right; −1 where none is.</param>
    public static Calibration? Of(IReadOnlyList<(double[] Logits, int Right)> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        if (rows.Count == 0) return null;
        IReadOnlyList<ReliabilityBin> bins = Bin(rows, 1);
        double temperature = Fit([.. rows.Where(row => row.Right >= 0)]);
        return new Calibration(bins, Error(bins), temperature, Error(Bin(rows, temperature)));
    }

    /// <summary>Probabilities of options at a temperature; they add up to 1.</summary>
    public static double[] Softmax(IReadOnlyList<double> logits, double temperature = 1)
    {
        ArgumentNullException.ThrowIfNull(logits);
        double largest = logits.Max();
        double[] weights = [.. logits.Select(logit => logit == largest ? 1 : Math.Exp((logit - largest) / temperature))];
        double sum = weights.Sum();
        return [.. weights.Select(weight => weight / sum)];
    }

    private static List<ReliabilityBin> Bin(IReadOnlyList<(double[] Logits, int Right)> rows, double temperature)
    {
        var (counts, confidence, right) = (new int[BinCount], new double[BinCount], new int[BinCount]);
        foreach ((double[] logits, int answer) in rows)
        {
            double[] probabilities = Softmax(logits, temperature);
            double most = probabilities.Max();
            int bin = Math.Clamp((int)Math.Ceiling(most * BinCount) - 1, 0, BinCount - 1);
            counts[bin]++;
            confidence[bin] += most;
            if (Array.IndexOf(probabilities, most) == answer) right[bin]++;
        }

        return [.. Enumerable.Range(0, BinCount).Where(bin => counts[bin] > 0)
            .Select(bin => new ReliabilityBin((double)bin / BinCount, (bin + 1.0) / BinCount, counts[bin], confidence[bin] / counts[bin], (double)right[bin] / counts[bin]))];
    }

    private static double Error(IReadOnlyList<ReliabilityBin> bins) => bins.Sum(bin => bin.Rows * Math.Abs(bin.Accuracy - bin.Confidence)) / bins.Sum(bin => bin.Rows);

    // The mean negative log-likelihood is convex in 1/T; golden-section search on it.
    private static double Fit((double[] Logits, int Right)[] rows)
    {
        if (rows.Length == 0) return 1;
        double Loss(double inverse) => rows.Average(row => -Math.Log(Math.Max(Softmax(row.Logits, 1 / inverse)[row.Right], double.Epsilon)));
        double golden = (Math.Sqrt(5) - 1) / 2, low = 1 / Hottest, high = 1 / Coldest;
        for (int step = 0; step < 60; step++)
        {
            double left = high - golden * (high - low), right = low + golden * (high - low);
            if (Loss(left) < Loss(right)) high = right;
            else low = left;
        }

        return 2 / (low + high);
    }
}
