namespace GemmaCore.Evaluation;

/// <summary>From sums over rows to metrics.</summary>
/// <param name="sums">One sum for each term of a row.</param>
/// <param name="rows">Rows counted, repetitions included.</param>
/// <param name="values">The metrics.</param>
public delegate void Figures(ReadOnlySpan<double> sums, double rows, Span<double> values);

/// <summary>A sample whose metrics follow from sums over its rows: means, micro-averaged rates, errors.</summary>
internal sealed class SummedSample : TaskSample
{
    private readonly double[] _terms; // [rows, terms]
    private readonly int _width;
    private readonly Figures _figures;

    public SummedSample(IReadOnlyList<ScoredRow> rows, int width, Figures figures)
    {
        (Count, _width, _figures) = (rows.Count, width, figures);
        _terms = new double[rows.Count * width];
        for (int i = 0; i < rows.Count; i++) rows[i].Terms.AsSpan(0, width).CopyTo(_terms.AsSpan(i * width));
    }

    public override int Count { get; }

    public override void Measure(ReadOnlySpan<int> weights, Span<double> values)
    {
        Span<double> sums = stackalloc double[_width];
        sums.Clear();
        long rows = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            if (weights[i] == 0) continue; // 0 × ∞ is no number
            rows += weights[i];
            double weight = weights[i];
            ReadOnlySpan<double> terms = _terms.AsSpan(i * _width, _width);
            for (int j = 0; j < terms.Length; j++) sums[j] += weight * terms[j];
        }

        _figures(sums, rows, values);
    }

    /// <summary>a / b, or 0 where b is 0: how the rules take an empty denominator.</summary>
    public static double Ratio(double a, double b) => b == 0 ? 0 : a / b;

    /// <summary>Precision, recall and F1 of counts; 0 on empty denominators.</summary>
    public static (double Precision, double Recall, double F1) Rates(double truePositives, double falsePositives, double falseNegatives)
    {
        double precision = Ratio(truePositives, truePositives + falsePositives), recall = Ratio(truePositives, truePositives + falseNegatives);
        return (precision, recall, Ratio(2 * precision * recall, precision + recall));
    }
}
