namespace GemmaCore.Evaluation;

/// <summary>The rules of the 2026 baseline (flare.md §6).</summary>
public static class Flare26Rules
{
    /// <summary>IoU thresholds of detection.</summary>
    public static readonly double[] Thresholds = [0.3, 0.4, 0.5, 0.6, 0.7];

    /// <summary>One scoring for each task but reports. Instance detection is detection.</summary>
    public static TaskScoring[] Scorings() =>
    [
        new ClassScoring(AnswerText.Normalise, text => AnswerText.Normalise(text ?? "")),
        new LabelScoring(AnswerText.Labels, micro: false, skipEmptyReferences: false, skipMissing: false),
        new BoxScoring("detection", Thresholds, Count),
        new NumberScoring(TaskType.Counting, AnswerText.Number, AnswerText.Number, NoNumber.CountsAsZero),
        new NumberScoring(TaskType.Regression, AnswerText.Number, AnswerText.Number, NoNumber.CountsAsZero),
    ];

    private static BoxCounts Count(EvaluationRow row)
    {
        IReadOnlyList<Box> references = Boxes.Parse(row.Reference)
            ?? throw new EvaluationException($"{row.Where}: the reference of {row.Uid} holds no readable boxes; correct or remove the row");
        // An empty answer is no readable one, though it scores the same as one that says "none".
        IReadOnlyList<Box>? predictions = string.IsNullOrWhiteSpace(row.Prediction) ? null : Boxes.Parse(row.Prediction);
        return new BoxCounts(references, predictions, BoxMatching.BestPairs(references, predictions ?? [], Thresholds));
    }
}
