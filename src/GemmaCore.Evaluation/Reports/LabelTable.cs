namespace GemmaCore.Evaluation;

/// <summary>Detection of one label, matched among boxes of that label only, at IoU 0.3 (flare.md §6.4).</summary>
/// <param name="Task"><c>detection</c> or <c>instance_detection</c>.</param>
/// <param name="Label">The label; <c>__unlabeled__</c> for boxes without one.</param>
/// <param name="Found">Pairs.</param>
/// <param name="Invented">Boxes predicted where none is.</param>
/// <param name="Missed">Boxes not found.</param>
public sealed record LabelTable(string Task, string Label, int Found, int Invented, int Missed)
{
    private const string Unlabelled = "__unlabeled__";
    private static readonly double[] Threshold = [0.3];

    /// <summary>The table of one split, by label.</summary>
    public static IReadOnlyList<LabelTable> Of(EvaluationResult result, string split)
    {
        ArgumentNullException.ThrowIfNull(result);
        var counts = new SortedDictionary<(string Task, string Label), (int Found, int Invented, int Missed)>();
        foreach (GroupScore group in result.Of(GroupKind.Split).Where(group => group.Name == split && group.Scoring is BoxScoring))
        {
            foreach (ScoredRow row in group.Rows.Where(row => row.Score is not null))
            {
                // The texts of a scored row are in the form that reads the same again.
                ILookup<string, Box> expected = BoxMatching.ByLabel(Boxes.Parse(row.Reference) ?? [], Unlabelled), given = BoxMatching.ByLabel(Boxes.Parse(row.Prediction) ?? [], Unlabelled);
                foreach (string label in expected.Select(one => one.Key).Union(given.Select(one => one.Key)))
                {
                    Box[] references = [.. expected[label]], predictions = [.. given[label]];
                    int found = BoxMatching.BestPairs(references, predictions, Threshold)[0];
                    (int before, int invented, int missed) = counts.GetValueOrDefault((group.Scoring.Task, label));
                    counts[(group.Scoring.Task, label)] = (before + found, invented + predictions.Length - found, missed + references.Length - found);
                }
            }
        }

        return [.. counts.Select(entry => new LabelTable(entry.Key.Task, entry.Key.Label, entry.Value.Found, entry.Value.Invented, entry.Value.Missed))];
    }
}
