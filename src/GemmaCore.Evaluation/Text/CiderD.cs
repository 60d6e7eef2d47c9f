namespace GemmaCore.Evaluation.Text;

/// <summary>
/// CIDEr-D (Vedantam, Zitnick, Parikh, 2015): likeness of runs of 1 to 4 words, weighted by how rare they are among the references of the set, clipped, and lowered where
/// lengths differ; from 0 to 10 (flare.md §8.4).
/// </summary>
public static class CiderD
{
    private const int Longest = 4;
    private const double Sigma = 6;

    /// <summary>The score of every text, in their order. A set of one says nothing: every run is then in every item, and all scores are 0.</summary>
    public static double[] Scores(IReadOnlyList<TextPair> pairs)
    {
        ArgumentNullException.ThrowIfNull(pairs);
        Dictionary<string, int>[][][] references = [.. pairs.Select(pair => pair.References.Select(reference => NgramCounts.Of(reference, Longest)).ToArray())];
        Dictionary<string, int>[] items = ItemsWith(references);
        double logItems = Math.Log(pairs.Count);
        double[] scores = new double[pairs.Count];
        for (int i = 0; i < scores.Length; i++)
        {
            Vector candidate = Weigh(NgramCounts.Of(pairs[i].Candidate, Longest), items, logItems);
            double sum = references[i].Sum(reference => Likeness(candidate, Weigh(reference, items, logItems)));
            scores[i] = 10 * sum / references[i].Length / Longest;
        }

        return scores;
    }

    // In how many items any reference holds a run.
    private static Dictionary<string, int>[] ItemsWith(Dictionary<string, int>[][][] references)
    {
        Dictionary<string, int>[] items = [.. Enumerable.Range(0, Longest).Select(_ => new Dictionary<string, int>(StringComparer.Ordinal))];
        foreach (Dictionary<string, int>[][] item in references)
            for (int n = 0; n < Longest; n++)
                foreach (string run in item.SelectMany(reference => reference[n].Keys).Distinct(StringComparer.Ordinal)) items[n][run] = items[n].GetValueOrDefault(run) + 1;
        return items;
    }

    private static Vector Weigh(Dictionary<string, int>[] counts, Dictionary<string, int>[] items, double logItems)
    {
        var weights = new Dictionary<string, double>[Longest];
        double[] norms = new double[Longest];
        for (int n = 0; n < Longest; n++)
        {
            weights[n] = new Dictionary<string, double>(StringComparer.Ordinal);
            foreach ((string run, int count) in counts[n])
            {
                double weight = count * (logItems - Math.Log(Math.Max(1, items[n].GetValueOrDefault(run))));
                weights[n][run] = weight;
                norms[n] += weight * weight;
            }

            norms[n] = Math.Sqrt(norms[n]);
        }

        // The tools measure lengths in runs of two words.
        return new Vector(weights, norms, counts[1].Values.Sum());
    }

    private static double Likeness(Vector candidate, Vector reference)
    {
        double difference = candidate.Length - reference.Length, sum = 0;
        for (int n = 0; n < Longest; n++)
        {
            double product = 0;
            foreach ((string run, double weight) in candidate.Weights[n])
                if (reference.Weights[n].TryGetValue(run, out double other)) product += Math.Min(weight, other) * other;
            if (candidate.Norms[n] != 0 && reference.Norms[n] != 0) product /= candidate.Norms[n] * reference.Norms[n];
            sum += product * Math.Exp(-difference * difference / (2 * Sigma * Sigma));
        }

        return sum;
    }

    private sealed record Vector(Dictionary<string, double>[] Weights, double[] Norms, double Length);
}
