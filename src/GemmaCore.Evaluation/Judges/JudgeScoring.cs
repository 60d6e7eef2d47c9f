namespace GemmaCore.Evaluation.Judges;

/// <summary>Reports by what a judge model said about each; reports without a verdict that can be read are left out and counted.</summary>
/// <param name="metric">Name of the metric, e.g. <c>crimson_score</c>.</param>
/// <param name="score">Reads a judge's answer.</param>
/// <param name="answers">The judge's answers by uid.</param>
public sealed class JudgeScoring(string metric, Func<string, double?> score, IReadOnlyDictionary<string, string> answers) : TaskScoring
{
    /// <summary>The judges that are known: name, metric, prompt, and how an answer is read.</summary>
    public static IReadOnlyList<(string Name, string Metric, JudgePrompt Prompt, Func<string, double?> Score)> Judges { get; } =
        [("crimson", "crimson_score", JudgePrompt.Crimson, CrimsonVerdict.Score), ("green", "green_score", JudgePrompt.Green, GreenVerdict.Score)];

    /// <inheritdoc/>
    public override string Task => TaskType.ReportGeneration.Name();

    /// <inheritdoc/>
    public override IReadOnlyList<string> Metrics => [metric];

    /// <inheritdoc/>
    public override ScoredRow Read(EvaluationRow row)
    {
        ArgumentNullException.ThrowIfNull(row);
        double? verdict = answers.TryGetValue(row.Uid, out string? answer) ? score(answer) : null;
        return new ScoredRow(row, row.Reference, row.Prediction ?? "", verdict is not null, verdict, verdict is { } value ? [1, value] : [0, 0]);
    }

    /// <inheritdoc/>
    public override TaskSample Sample(IReadOnlyList<ScoredRow> rows) =>
        new SummedSample(rows, 2, (sums, _, values) => values[0] = sums[0] == 0 ? double.NaN : sums[1] / sums[0]);
}
