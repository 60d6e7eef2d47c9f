namespace GemmaCore.Evaluation;

/// <summary>What was predicted for each class.</summary>
/// <param name="Dataset">The data set.</param>
/// <param name="Labels">Classes of the references, in order.</param>
/// <param name="Counts">[reference, prediction]; the last column counts predictions of any other text.</param>
public sealed record ConfusionMatrix(string Dataset, IReadOnlyList<string> Labels, int[][] Counts)
{
    /// <summary>One matrix for each data set with classification.</summary>
    public static IEnumerable<ConfusionMatrix> Of(EvaluationResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        foreach (GroupScore group in result.Of(GroupKind.Dataset).Where(group => group.Scoring is ClassScoring))
        {
            ScoredRow[] rows = [.. group.Rows.Where(row => row.Score is not null)];
            string[] labels = [.. rows.Select(row => row.Reference).Distinct().Order(StringComparer.Ordinal)];
            Dictionary<string, int> numbers = labels.Select((label, index) => (label, index)).ToDictionary(item => item.label, item => item.index, StringComparer.Ordinal);
            int[][] counts = [.. labels.Select(_ => new int[labels.Length + 1])];
            foreach (ScoredRow row in rows) counts[numbers[row.Reference]][numbers.GetValueOrDefault(row.Prediction, labels.Length)]++;
            yield return new ConfusionMatrix(group.Name, labels, counts);
        }
    }
}
