namespace GemmaCore.Evaluation.Text;

/// <summary>How often each run of 1 to n words stands in a text.</summary>
internal static class NgramCounts
{
    /// <summary>One table for each length, shortest first. A run is its words with blanks between, which no word holds.</summary>
    public static Dictionary<string, int>[] Of(IReadOnlyList<string> words, int longest)
    {
        var tables = new Dictionary<string, int>[longest];
        for (int length = 1; length <= longest; length++)
        {
            Dictionary<string, int> table = tables[length - 1] = new(StringComparer.Ordinal);
            for (int start = 0; start + length <= words.Count; start++)
            {
                string run = length == 1 ? words[start] : string.Join(' ', words.Skip(start).Take(length));
                table[run] = table.GetValueOrDefault(run) + 1;
            }
        }

        return tables;
    }
}
