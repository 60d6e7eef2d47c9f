namespace GemmaCore.Evaluation.Text;

/// <summary>
/// BLEU-1 to BLEU-4 over a whole set (Papineni et al., 2002) as the COCO caption tools compute it: clipped counts and lengths are summed before anything is divided,
/// the reference length of an item is the closest one, and small constants stand in for zeros (flare.md §8.4).
/// </summary>
public static class Bleu
{
    /// <summary>Terms of an item: hits and runs of 1 to 4 words, its length, that of its closest reference.</summary>
    public const int TermCount = 2 * Longest + 2;

    /// <summary>Words of the longest run.</summary>
    public const int Longest = 4;

    private const double Tiny = 1e-15, Small = 1e-9;

    /// <summary>BLEU-1, BLEU-2, BLEU-3 and BLEU-4, each from 0 to 1.</summary>
    public static double[] Score(IReadOnlyCollection<TextPair> pairs)
    {
        ArgumentNullException.ThrowIfNull(pairs);
        double[] sums = new double[TermCount], scores = new double[Longest];
        foreach (TextPair pair in pairs)
        {
            double[] terms = Terms(pair);
            for (int i = 0; i < sums.Length; i++) sums[i] += terms[i];
        }

        OfSums(sums, scores);
        return scores;
    }

    /// <summary>What one item adds to the sums; items drawn twice are added twice.</summary>
    public static double[] Terms(TextPair pair)
    {
        ArgumentNullException.ThrowIfNull(pair);
        double[] terms = new double[TermCount];
        Dictionary<string, int>[] candidate = NgramCounts.Of(pair.Candidate, Longest);
        Dictionary<string, int>[][] references = [.. pair.References.Select(reference => NgramCounts.Of(reference, Longest))];
        for (int n = 0; n < Longest; n++)
        {
            terms[Longest + n] = Math.Max(0, pair.Candidate.Count - n);
            foreach ((string run, int count) in candidate[n]) terms[n] += Math.Min(count, references.Max(reference => reference[n].GetValueOrDefault(run)));
        }

        terms[^2] = pair.Candidate.Count;
        terms[^1] = pair.References.Select(reference => reference.Count).OrderBy(count => Math.Abs(count - pair.Candidate.Count)).ThenBy(count => count).First();
        return terms;
    }

    /// <summary>The four scores of sums.</summary>
    public static void OfSums(ReadOnlySpan<double> sums, Span<double> scores)
    {
        double ratio = (sums[TermCount - 2] + Tiny) / (sums[TermCount - 1] + Small), product = 1;
        for (int n = 0; n < Longest; n++)
        {
            product *= (sums[n] + Tiny) / (sums[Longest + n] + Small);
            scores[n] = Math.Pow(product, 1.0 / (n + 1)) * (ratio < 1 ? Math.Exp(1 - (1 / ratio)) : 1);
        }
    }
}
