namespace GemmaCore.Evaluation.Text;

/// <summary>
/// BLEU-1 to BLEU-4 over a whole set (Papineni et al., 2002) as the COCO caption tools compute it: clipped counts and lengths are summed before anything is divided,
/// the reference length of an item is the closest one, and small constants stand in for zeros (flare.md §8.4).
/// </summary>
public static class Bleu
{
    private const int Longest = 4;
    private const double Tiny = 1e-15, Small = 1e-9;

    /// <summary>BLEU-1, BLEU-2, BLEU-3 and BLEU-4, each from 0 to 1.</summary>
    public static double[] Score(IReadOnlyCollection<TextPair> pairs)
    {
        ArgumentNullException.ThrowIfNull(pairs);
        double[] hits = new double[Longest], runs = new double[Longest];
        double length = 0, referenceLength = 0;
        foreach (TextPair pair in pairs)
        {
            length += pair.Candidate.Count;
            referenceLength += pair.References.Select(reference => reference.Count).OrderBy(count => Math.Abs(count - pair.Candidate.Count)).ThenBy(count => count).First();
            Dictionary<string, int>[] candidate = NgramCounts.Of(pair.Candidate, Longest);
            Dictionary<string, int>[][] references = [.. pair.References.Select(reference => NgramCounts.Of(reference, Longest))];
            for (int n = 0; n < Longest; n++)
            {
                runs[n] += Math.Max(0, pair.Candidate.Count - n);
                foreach ((string run, int count) in candidate[n]) hits[n] += Math.Min(count, references.Max(reference => reference[n].GetValueOrDefault(run)));
            }
        }

        double ratio = (length + Tiny) / (referenceLength + Small), product = 1;
        double[] scores = new double[Longest];
        for (int n = 0; n < Longest; n++)
        {
            product *= (hits[n] + Tiny) / (runs[n] + Small);
            scores[n] = Math.Pow(product, 1.0 / (n + 1)) * (ratio < 1 ? Math.Exp(1 - (1 / ratio)) : 1);
        }

        return scores;
    }
}
