using GemmaCore.Evaluation.Text;

namespace GemmaCore.Evaluation;

/// <summary>Reports by their words: ROUGE-L, BLEU-1 to 4, CIDEr-D, METEOR-lite. The rules of FLARE know none of them; they are scored on request.</summary>
/// <param name="wanted">Any of <see cref="Known"/>.</param>
public sealed class TextScoring(IReadOnlyCollection<string> wanted) : TaskScoring
{
    /// <summary>What can be asked for.</summary>
    public static readonly string[] Known = ["rouge", "bleu", "cider", "meteor-lite"];

    // Behind BLEU's terms: rows, ROUGE-L, METEOR-lite, CIDEr-D.
    private const int Count = Bleu.TermCount, Rouge = Count + 1, Meteor = Count + 2, Cider = Count + 3, Width = Count + 4;

    /// <inheritdoc/>
    public override string Task => TaskType.ReportGeneration.Name();

    /// <inheritdoc/>
    public override IReadOnlyList<string> Metrics => [.. Named().Select(metric => metric.Name)];

    /// <inheritdoc/>
    public override ScoredRow Read(EvaluationRow row)
    {
        ArgumentNullException.ThrowIfNull(row);
        TextPair pair = TextPair.Of(row.Prediction ?? "", row.Reference);
        double rouge = RougeL.Score(pair), meteor = wanted.Contains("meteor-lite") ? MeteorLite.Score(pair) : 0;
        return new ScoredRow(
            row, string.Join(' ', pair.References[0]), string.Join(' ', pair.Candidate), pair.Candidate.Count > 0, rouge, [.. Bleu.Terms(pair), 1, rouge, meteor, 0]);
    }

    /// <inheritdoc/>
    public override TaskSample Sample(IReadOnlyList<ScoredRow> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        // How rare words are is counted in the rows at hand and stays when rows are drawn again.
        double[] cider = wanted.Contains("cider") ? CiderD.Scores([.. rows.Select(row => TextPair.Of(row.Row.Prediction ?? "", row.Row.Reference))]) : new double[rows.Count];
        return new SummedSample([.. rows.Select((row, index) => row with { Terms = [.. row.Terms[..^1], cider[index]] })], Width, Measure);
    }

    private IEnumerable<(string Name, int Place)> Named()
    {
        if (wanted.Contains("rouge")) yield return ("rouge_l", Rouge);
        // Places below the terms of BLEU stand for its n.
        if (wanted.Contains("bleu"))
            foreach (int n in (int[])[4, 1, 2, 3]) yield return ($"bleu_{n}", n - 1);
        if (wanted.Contains("cider")) yield return ("cider_d", Cider);
        if (wanted.Contains("meteor-lite")) yield return ("meteor_lite", Meteor);
    }

    private void Measure(ReadOnlySpan<double> sums, double rows, Span<double> values)
    {
        Span<double> bleu = stackalloc double[Bleu.Longest];
        Bleu.OfSums(sums[..Bleu.TermCount], bleu);
        int at = 0;
        foreach ((_, int place) in Named()) values[at++] = place < Bleu.Longest ? bleu[place] : sums[place] / sums[Count];
    }
}
