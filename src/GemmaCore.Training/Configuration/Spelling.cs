namespace GemmaCore.Training.Configuration;

/// <summary>Guesses what a mistyped key or flag was meant to be.</summary>
public static class Spelling
{
    /// <summary>The known word with the fewest edits from a mistyped one; empty when none is known.</summary>
    public static string Nearest(string word, IEnumerable<string> known) => known.MinBy(other => EditDistance(word, other)) ?? "";

    // Levenshtein distance, one row at a time.
    private static int EditDistance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(substitute, Math.Min(row[j - 1], row[j]) + 1);
            }
        }

        return row[b.Length];
    }
}
