namespace GemmaCore.Evaluation.Text;

/// <summary>
/// The idea of METEOR 1.5 (Denkowski, Lavie, 2014) without its word lists: words match exactly or by their stems, not as synonyms or paraphrases, and function words count
/// as others do. Its figures are not METEOR's and are never reported under that name.
/// </summary>
public static class MeteorLite
{
    private const double StemWeight = 0.6, Alpha = 0.85, Beta = 0.2, Gamma = 0.6;

    /// <summary>Of one text against its best reference, from 0 to 1.</summary>
    public static double Score(TextPair pair)
    {
        ArgumentNullException.ThrowIfNull(pair);
        return pair.References.Max(reference => Score(pair.Candidate, reference));
    }

    private static double Score(IReadOnlyList<string> candidate, IReadOnlyList<string> reference)
    {
        if (candidate.Count == 0 || reference.Count == 0) return candidate.Count == reference.Count ? 1 : 0;
        int[] places = new int[candidate.Count];
        Array.Fill(places, -1);
        bool[] taken = new bool[reference.Count];
        int exact = Align(candidate, reference, places, taken);
        int stems = Align([.. candidate.Select(PorterStemmer.Stem)], [.. reference.Select(PorterStemmer.Stem)], places, taken);
        double weight = exact + (StemWeight * stems), precision = weight / candidate.Count, recall = weight / reference.Count;
        if (weight == 0) return 0;
        int matches = exact + stems, chunks = Chunks(places);
        // One and the same text is not in pieces at all.
        double pieces = chunks == 1 && matches == candidate.Count && matches == reference.Count ? 0 : (double)chunks / matches;
        return (1 - (Gamma * Math.Pow(pieces, Beta))) * precision * recall / ((Alpha * precision) + ((1 - Alpha) * recall));
    }

    // From left to right, every word that has no place yet: where it goes on with the word before if it can, else the first that is free.
    private static int Align(IReadOnlyList<string> candidate, IReadOnlyList<string> reference, int[] places, bool[] taken)
    {
        int found = 0;
        for (int i = 0; i < candidate.Count; i++)
        {
            if (places[i] >= 0) continue;
            int next = i > 0 && places[i - 1] >= 0 ? places[i - 1] + 1 : 0;
            int place = next < reference.Count && !taken[next] && reference[next] == candidate[i] ? next : -1;
            for (int j = 0; place < 0 && j < reference.Count; j++)
                if (!taken[j] && reference[j] == candidate[i]) place = j;
            if (place < 0) continue;
            (places[i], taken[place]) = (place, true);
            found++;
        }

        return found;
    }

    // Runs of words that stand side by side in both texts.
    private static int Chunks(int[] places)
    {
        int chunks = 0;
        for (int i = 0; i < places.Length; i++)
            if (places[i] >= 0 && (i == 0 || places[i - 1] < 0 || places[i] != places[i - 1] + 1)) chunks++;
        return chunks;
    }
}
