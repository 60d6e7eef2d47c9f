namespace GemmaCore.Evaluation;

/// <summary>Reports by their words: BLEU-1 to 4, ROUGE-L, CIDEr-D, METEOR-lite. The rules of FLARE know none of them; they are scored on request.</summary>
/// <param name="wanted">Any of <see cref="Known"/>.</param>
public sealed class TextScoring(IReadOnlyCollection<string> wanted) : TaskScoring
{
    /// <summary>What can be asked for.</summary>
    public static readonly string[] Known = ["bleu", "rouge", "cider", "meteor-lite"];

    private const int BleuTerms = 2 * CaptionMetrics.Longest + 2;

    /// <inheritdoc/>
    public override string Task => TaskType.ReportGeneration.Name();

    /// <inheritdoc/>
    public override IReadOnlyList<string> Metrics =>
    [
        .. wanted.Contains("rouge") ? (string[])["rouge_l"] : [],
        .. wanted.Contains("bleu") ? (string[])["bleu_4", "bleu_1", "bleu_2", "bleu_3"] : [],
        .. wanted.Contains("cider") ? (string[])["cider_d"] : [],
        .. wanted.Contains("meteor-lite") ? (string[])["meteor_lite"] : [],
    ];

    /// <inheritdoc/>
    public override ScoredRow Read(EvaluationRow row)
    {
        ArgumentNullException.ThrowIfNull(row);
        IReadOnlyList<string> expected = CaptionTokens.Of(row.Reference), given = CaptionTokens.Of(row.Prediction ?? "");
        double rouge = CaptionMetrics.RougeL(given, [expected]);
        return new ScoredRow(row, string.Join(' ', expected), string.Join(' ', given), given.Count > 0, rouge, [.. CaptionMetrics.BleuTerms(given, [expected]), 1, rouge, MeteorLite.Score(given, expected), 0]);
    }

    /// <inheritdoc/>
    public override TaskSample Sample(IReadOnlyList<ScoredRow> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        // Document frequencies are those of the rows at hand and stay when rows are drawn again.
        double[] cider = wanted.Contains("cider")
            ? CaptionMetrics.CiderD([.. rows.Select(row => ((IReadOnlyList<string>)Words(row.Prediction), (IReadOnlyList<IReadOnlyList<string>>)[Words(row.Reference)]))])
            : new double[rows.Count];
        ScoredRow[] complete = [.. rows.Select((row, index) => row with { Terms = [.. row.Terms[..^1], cider[index]] })];
        return new SummedSample(complete, BleuTerms + 4, Measure);
    }

    private void Measure(ReadOnlySpan<double> sums, double rows, Span<double> values)
    {
        Span<double> bleu = stackalloc double[CaptionMetrics.Longest];
        CaptionMetrics.Bleu(sums[..BleuTerms], bleu);
        int at = 0;
        if (wanted.Contains("rouge")) values[at++] = sums[BleuTerms + 1] / sums[BleuTerms];
        if (wanted.Contains("bleu"))
            foreach (int n in (int[])[4, 1, 2, 3]) values[at++] = bleu[n - 1];
        if (wanted.Contains("cider")) values[at++] = sums[BleuTerms + 3] / sums[BleuTerms];
        if (wanted.Contains("meteor-lite")) values[at] = sums[BleuTerms + 2] / sums[BleuTerms];
    }

    private static string[] Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
