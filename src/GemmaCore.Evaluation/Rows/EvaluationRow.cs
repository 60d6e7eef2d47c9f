namespace GemmaCore.Evaluation;

/// <summary>One question with its reference, and what was predicted for it.</summary>
/// <param name="Uid">Name of the row across tools (flare.md §3.4).</param>
/// <param name="Where">File and row of the reference, for messages.</param>
/// <param name="Split">Split as the published files name it: <c>testing</c>, <c>validation_public</c>, <c>validation_hidden</c>, or <c>train</c>.</param>
/// <param name="Dataset">Name of the data set.</param>
/// <param name="Modality">Modality as spelt in the row.</param>
/// <param name="Task">Family of the question.</param>
/// <param name="IsInstanceDetection">True for boxes under keys, which the rules of 2025 and the challenge score apart.</param>
/// <param name="Reference">The right answer, as text; JSON where it is a list or an object.</param>
/// <param name="Prediction">The answer to score; null where there is none.</param>
public sealed record EvaluationRow(
    string Uid, string Where, string Split, string Dataset, string Modality, TaskType Task, bool IsInstanceDetection, string Reference, string? Prediction)
{
    /// <summary>Log-probability of each label or option, where the model gave them; empty otherwise.</summary>
    public IReadOnlyDictionary<string, double> Scores { get; init; } = System.Collections.Immutable.ImmutableDictionary<string, double>.Empty;
}
