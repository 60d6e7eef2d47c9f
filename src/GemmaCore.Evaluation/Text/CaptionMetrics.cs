namespace GemmaCore.Evaluation;

/// <summary>BLEU, ROUGE-L and CIDEr-D as the COCO caption tools compute them (flare.md §8.4), on tokens.</summary>
public static class CaptionMetrics
{
    /// <summary>Longest n-gram.</summary>
    public const int Longest = 4;

    private const double Tiny = 1e-15, Small = 1e-9, Beta = 1.2, Sigma = 6;

    /// <summary>
    /// What one item adds to the sums of BLEU: clipped matches of 1 to 4-grams, n-grams of the candidate, its length, and the length of the reference closest to it.
    /// </summary>
    public static double[] BleuTerms(IReadOnlyList<string> candidate, IReadOnlyList<IReadOnlyList<string>> references)
    {
        ArgumentNullException.ThrowIfNull(candidate);
        ArgumentNullException.ThrowIfNull(references);
        double[] terms = new double[2 * Longest + 2];
        for (int n = 1; n <= Longest; n++)
        {
            Dictionary<string, int> given = Count(candidate, n);
            Dictionary<string, int>[] expected = [.. references.Select(reference => Count(reference, n))];
            terms[n - 1] = given.Sum(gram => Math.Min(gram.Value, expected.Max(reference => reference.GetValueOrDefault(gram.Key))));
            terms[Longest + n - 1] = Math.Max(0, candidate.Count - n + 1);
        }

        terms[2 * Longest] = candidate.Count;
        terms[2 * Longest + 1] = references.Select(reference => reference.Count).MinBy(length => (Math.Abs(length - candidate.Count), length));
        return terms;
    }

    /// <summary>BLEU-1 to BLEU-4 of sums over items.</summary>
    public static void Bleu(ReadOnlySpan<double> sums, Span<double> bleu)
    {
        double product = 1, ratio = (sums[2 * Longest] + Tiny) / (sums[2 * Longest + 1] + Small);
        for (int n = 1; n <= Longest; n++)
        {
            product *= (sums[n - 1] + Tiny) / (sums[Longest + n - 1] + Small);
            bleu[n - 1] = Math.Pow(product, 1.0 / n) * (ratio < 1 ? Math.Exp(1 - 1 / ratio) : 1);
        }
    }

    /// <summary>ROUGE-L of one item: best precision and best recall of the longest common subsequence over references, F with β 1.2.</summary>
    public static double RougeL(IReadOnlyList<string> candidate, IReadOnlyList<IReadOnlyList<string>> references)
    {
        ArgumentNullException.ThrowIfNull(candidate);
        ArgumentNullException.ThrowIfNull(references);
        double precision = 0, recall = 0;
        foreach (IReadOnlyList<string> reference in references)
        {
            int common = CommonSubsequence(candidate, reference);
            precision = Math.Max(precision, SummedSample.Ratio(common, candidate.Count));
            recall = Math.Max(recall, SummedSample.Ratio(common, reference.Count));
        }

        return precision == 0 || recall == 0 ? 0 : (1 + Beta * Beta) * precision * recall / (recall + Beta * Beta * precision);
    }

    /// <summary>Length of the longest common subsequence; one row of the table at a time.</summary>
    public static int CommonSubsequence(IReadOnlyList<string> a, IReadOnlyList<string> b)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        int[] row = new int[b.Count + 1];
        foreach (string word in a)
        {
            int diagonal = 0;
            for (int j = 1; j <= b.Count; j++)
            {
                int above = row[j];
                row[j] = word == b[j - 1] ? diagonal + 1 : Math.Max(above, row[j - 1]);
                diagonal = above;
            }
        }

        return row[^1];
    }

    /// <summary>
    /// CIDEr-D of every item: n-grams weighted by how few items have them in a reference, matches clipped, a Gaussian on the difference of lengths (counted in bigrams,
    /// as the tool does), mean over n and references, times ten.
    /// </summary>
    /// <param name="items">Candidates and references; the document frequencies are those of this collection.</param>
    public static double[] CiderD(IReadOnlyList<(IReadOnlyList<string> Candidate, IReadOnlyList<IReadOnlyList<string>> References)> items)
    {
        ArgumentNullException.ThrowIfNull(items);
        var documents = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach ((_, IReadOnlyList<IReadOnlyList<string>> references) in items)
        {
            foreach (string gram in references.SelectMany(reference => Enumerable.Range(1, Longest).SelectMany(n => Count(reference, n).Keys)).Distinct())
                documents[gram] = documents.GetValueOrDefault(gram) + 1;
        }

        double logItems = Math.Log(items.Count);
        double[] scores = new double[items.Count];
        for (int i = 0; i < items.Count; i++)
        {
            Weighted candidate = Weigh(items[i].Candidate, documents, logItems);
            double sum = items[i].References.Sum(reference => Similarity(candidate, Weigh(reference, documents, logItems)));
            scores[i] = 10 * sum / Longest / items[i].References.Count;
        }

        return scores;
    }

    private sealed record Weighted(Dictionary<string, double>[] Grams, double[] Norms, int Bigrams);

    private static Weighted Weigh(IReadOnlyList<string> tokens, Dictionary<string, int> documents, double logItems)
    {
        var grams = new Dictionary<string, double>[Longest];
        for (int n = 1; n <= Longest; n++)
            grams[n - 1] = Count(tokens, n).ToDictionary(gram => gram.Key, gram => gram.Value * (logItems - Math.Log(Math.Max(1, documents.GetValueOrDefault(gram.Key)))), StringComparer.Ordinal);
        return new Weighted(grams, [.. grams.Select(vector => Math.Sqrt(vector.Values.Sum(weight => weight * weight)))], Math.Max(0, tokens.Count - 1));
    }

    private static double Similarity(Weighted candidate, Weighted reference)
    {
        double difference = candidate.Bigrams - reference.Bigrams, closeness = Math.Exp(-difference * difference / (2 * Sigma * Sigma)), sum = 0;
        for (int n = 0; n < Longest; n++)
        {
            double dot = 0;
            foreach ((string gram, double weight) in candidate.Grams[n])
                if (reference.Grams[n].TryGetValue(gram, out double other)) dot += Math.Min(weight, other) * other;
            sum += SummedSample.Ratio(dot, candidate.Norms[n] * reference.Norms[n]) * closeness;
        }

        return sum;
    }

    // Words hold no blanks, so a blank keeps n-grams apart; the number of blanks tells n.
    private static Dictionary<string, int> Count(IReadOnlyList<string> tokens, int n)
    {
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i + n <= tokens.Count; i++)
        {
            string gram = n == 1 ? tokens[i] : string.Join(' ', tokens.Skip(i).Take(n));
            counts[gram] = counts.GetValueOrDefault(gram) + 1;
        }

        return counts;
    }
}
