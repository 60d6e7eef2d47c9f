namespace GemmaCore.Evaluation;

/// <summary>Limits between which a metric stays in 95 of 100 resamples.</summary>
/// <param name="Low">2.5 % quantile.</param>
/// <param name="High">97.5 % quantile.</param>
public readonly record struct Interval(double Low, double High);

/// <summary>
/// The percentile bootstrap: rows are drawn with replacement, again and again, and measured. Draws depend on the seed and the name of the group alone, so
/// neither the order of rows in a file nor that of groups changes a figure; two prediction files measured together share every draw.
/// </summary>
public static class Bootstrap
{
    private const double Tail = 0.025;

    /// <summary>Measures resamples.</summary>
    /// <param name="samples">One sample, or two of the same rows.</param>
    /// <param name="metrics">Metrics of each.</param>
    /// <param name="resamples">How many.</param>
    /// <param name="seed">Seed of the run.</param>
    /// <param name="group">Name of the group.</param>
    /// <returns>For each sample, [resamples, metrics].</returns>
    public static double[][] Measure(IReadOnlyList<TaskSample> samples, int metrics, int resamples, int seed, string group)
    {
        ArgumentNullException.ThrowIfNull(samples);
        ArgumentNullException.ThrowIfNull(group);
        int rows = samples[0].Count;
        double[][] measured = [.. samples.Select(_ => new double[resamples * metrics])];
        int[] weights = new int[rows];
        ulong state = Hash(FormattableString.Invariant($"{seed}/{group}"));
        for (int resample = 0; resample < resamples; resample++)
        {
            Array.Clear(weights);
            for (int i = 0; i < rows; i++) weights[Draw(ref state, rows)]++;
            for (int s = 0; s < samples.Count; s++) samples[s].Measure(weights, measured[s].AsSpan(resample * metrics, metrics));
        }

        return measured;
    }

    /// <summary>The interval of values that need not be sorted; NaN is left out. Null where nothing is left.</summary>
    public static Interval? Of(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Where(value => !double.IsNaN(value)).Order()];
        // Ranks are taken as they are: between a number and infinity nothing can be interpolated.
        return sorted.Length == 0 ? null : new Interval(sorted[(int)Math.Floor(Tail * (sorted.Length - 1))], sorted[(int)Math.Ceiling((1 - Tail) * (sorted.Length - 1))]);
    }

    // SplitMix64 (Steele, Lea, Flood 2014); the high half times the range keeps the bias below rows / 2^32.
    private static int Draw(ref ulong state, int range)
    {
        state += 0x9E3779B97F4A7C15;
        ulong z = state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        z ^= z >> 31;
        return (int)(((z >> 32) * (ulong)range) >> 32);
    }

    // FNV-1a, 64 bits.
    private static ulong Hash(string text)
    {
        ulong hash = 0xCBF29CE484222325;
        foreach (char c in text) hash = (hash ^ c) * 0x100000001B3;
        return hash;
    }
}
