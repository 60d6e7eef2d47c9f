namespace GemmaCore.Evaluation;

/// <summary>A row as one set of rules reads it.</summary>
/// <param name="Row">Question, reference and prediction.</param>
/// <param name="Reference">The reference as read, in a form that reads the same again.</param>
/// <param name="Prediction">The prediction as read; empty where it cannot be.</param>
/// <param name="Parsed">Whether the prediction could be read as an answer of its task.</param>
/// <param name="Score">What the row alone would score: 0 or 1, F1, or the error; null where the rules leave the row out.</param>
/// <param name="Terms">What the row adds to the sums of its task's metrics.</param>
public sealed record ScoredRow(EvaluationRow Row, string Reference, string Prediction, bool Parsed, double? Score, double[] Terms);

/// <summary>How one set of rules scores one task: reads rows, then measures any selection of them.</summary>
public abstract class TaskScoring
{
    /// <summary>Name of the task in reports, e.g. <c>cell_counting</c>.</summary>
    public abstract string Task { get; }

    /// <summary>Names of the metrics, in the order in which a <see cref="TaskSample"/> gives them. The first one is the task's main metric.</summary>
    public abstract IReadOnlyList<string> Metrics { get; }

    /// <summary>Other names under which published files give a metric: (name, other name).</summary>
    public virtual IReadOnlyList<(string Name, string Other)> Aliases => [];

    /// <summary>The metrics a table shows; the rest is in the files.</summary>
    public virtual IReadOnlyList<string> Headline => Metrics;

    /// <summary>True where smaller values are better.</summary>
    public virtual bool LowerIsBetter => false;

    /// <summary>What the published files call the main metric.</summary>
    public virtual string PublishedMetric => Aliases.FirstOrDefault(pair => pair.Name == Metrics[0]).Other ?? Metrics[0];

    /// <summary>Reads one row.</summary>
    /// <exception cref="EvaluationException">The reference is no answer of this task, where the rules make that an error.</exception>
    public abstract ScoredRow Read(EvaluationRow row);

    /// <summary>Prepares rows for measuring, again and again with other weights.</summary>
    public abstract TaskSample Sample(IReadOnlyList<ScoredRow> rows);

    /// <summary>The error for a reference that cannot be read.</summary>
    protected static EvaluationException Unreadable(EvaluationRow row, string what)
    {
        string text = row.Reference.Length > 80 ? row.Reference[..80] + "…" : row.Reference;
        return new EvaluationException($"{row.Where}: the reference '{text}' of {row.Uid} {what}; correct or remove the row");
    }
}

/// <summary>Rows of one task, ready to be measured.</summary>
public abstract class TaskSample
{
    /// <summary>Rows in the sample.</summary>
    public abstract int Count { get; }

    /// <summary>The metrics of the sample in which row i stands <paramref name="weights"/>[i] times.</summary>
    /// <param name="weights">One count for each row.</param>
    /// <param name="values">Filled with one value for each of <see cref="TaskScoring.Metrics"/>; NaN where one has no value.</param>
    public abstract void Measure(ReadOnlySpan<int> weights, Span<double> values);

    /// <summary>The metrics of every row once.</summary>
    /// <param name="metrics">Number of metrics.</param>
    public double[] Measure(int metrics)
    {
        int[] once = new int[Count];
        Array.Fill(once, 1);
        double[] values = new double[metrics];
        Measure(once, values);
        return values;
    }
}
