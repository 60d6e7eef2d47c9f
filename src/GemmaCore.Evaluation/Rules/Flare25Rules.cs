namespace GemmaCore.Evaluation;

/// <summary>The rules of the 2025 baseline, for its published numbers (flare.md §7.2). Answers that cannot be read are dropped, not penalised.</summary>
public static class Flare25Rules
{
    private static readonly double[] InstanceThresholds = [0.3, 0.4, 0.5, 0.6, 0.7];
    private static readonly double[] DetectionThresholds = [0.5];

    /// <summary>One scoring for each task but reports.</summary>
    public static TaskScoring[] Scorings() =>
    [
        new ClassScoring(Flare25Answers.Class, text => Flare25Answers.PredictedClass(text ?? ""), binaryF1Fails: true),
        new LabelScoring(Flare25Answers.Labels, micro: false, skipEmptyReferences: true, skipMissing: false),
        new BoxScoring("detection", DetectionThresholds, Detection),
        new BoxScoring("instance_detection", InstanceThresholds, InstanceDetection),
        new NumberScoring(TaskType.Counting, Flare25Answers.ReferenceCount, Flare25Answers.Count, NoNumber.LeavesRowOut),
        new NumberScoring(TaskType.Regression, Flare25Answers.ReferenceNumber, Flare25Answers.Quantity, NoNumber.LeavesRowOut),
    ];

    private static BoxCounts Detection(EvaluationRow row)
    {
        IReadOnlyList<Box> expected = Flare25Answers.Boxes(row.Reference) ?? [];
        IReadOnlyList<Box>? given = Flare25Answers.Boxes(row.Prediction ?? "");
        return new BoxCounts(expected, given, [BoxMatching.InOrder(given ?? [], expected, DetectionThresholds[0])]);
    }

    private static BoxCounts InstanceDetection(EvaluationRow row)
    {
        IReadOnlyList<Box> expected = Flare25Answers.KeyedBoxes(row.Reference) ?? [];
        IReadOnlyList<Box>? given = Flare25Answers.KeyedBoxes(row.Prediction ?? "");
        ILookup<string, Box> references = BoxMatching.ByLabel(expected);
        int[] matched = [.. InstanceThresholds.Select(threshold =>
            BoxMatching.ByLabel(given ?? []).Sum(group => BoxMatching.InOrder([.. group], [.. references[group.Key]], threshold)))];
        return new BoxCounts(expected, given, matched);
    }
}
