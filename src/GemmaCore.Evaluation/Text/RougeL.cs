namespace GemmaCore.Evaluation.Text;

/// <summary>
/// ROUGE-L (Lin, 2004) as the COCO caption tools compute it: the longest common subsequence against each reference, the best precision and the best recall, and
/// their F measure with β = 1.2 (flare.md §8.4).
/// </summary>
public static class RougeL
{
    private const double Beta = 1.2;

    /// <summary>Of one text, from 0 to 1; 0 where it or a reference is empty.</summary>
    public static double Score(TextPair pair)
    {
        ArgumentNullException.ThrowIfNull(pair);
        double precision = 0, recall = 0;
        foreach (IReadOnlyList<string> reference in pair.References)
        {
            if (pair.Candidate.Count == 0 || reference.Count == 0) continue;
            double common = CommonLength(pair.Candidate, reference);
            precision = Math.Max(precision, common / pair.Candidate.Count);
            recall = Math.Max(recall, common / reference.Count);
        }

        return precision == 0 || recall == 0 ? 0 : (1 + (Beta * Beta)) * precision * recall / (recall + (Beta * Beta * precision));
    }

    // Words of the longest common subsequence; one row of the table is kept.
    private static int CommonLength(IReadOnlyList<string> a, IReadOnlyList<string> b)
    {
        int[] row = new int[b.Count + 1];
        foreach (string word in a)
        {
            int diagonal = 0;
            for (int j = 0; j < b.Count; j++)
            {
                int above = row[j + 1];
                row[j + 1] = word == b[j] ? diagonal + 1 : Math.Max(above, row[j]);
                diagonal = above;
            }
        }

        return row[^1];
    }
}
