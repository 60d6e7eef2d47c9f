namespace GemmaCore.Evaluation;

/// <summary>One metric of a group of rows.</summary>
/// <param name="Name">Its published name.</param>
/// <param name="Value">Its value; NaN where it has none, infinite where the rules say so.</param>
/// <param name="Interval">Its 95 % interval; null where none was asked for.</param>
/// <param name="Other">Value of the second prediction file, if one is compared.</param>
/// <param name="Difference">95 % interval of value − other over the same resamples.</param>
public sealed record MetricValue(string Name, double Value, Interval? Interval, double? Other, Interval? Difference);

/// <summary>What a group is a group of.</summary>
public enum GroupKind
{
    /// <summary>Rows of one split.</summary>
    Split,

    /// <summary>Rows of one data set.</summary>
    Dataset,

    /// <summary>Rows of one modality, spellings joined.</summary>
    Modality,
}

/// <summary>One task in one group of rows.</summary>
/// <param name="Kind">Split, data set or modality.</param>
/// <param name="Name">Which one.</param>
/// <param name="Scoring">The task and its metrics.</param>
/// <param name="Rows">Rows scored, in order of uid.</param>
/// <param name="Metrics">The metrics, in the scoring's order.</param>
public sealed record GroupScore(GroupKind Kind, string Name, TaskScoring Scoring, IReadOnlyList<ScoredRow> Rows, IReadOnlyList<MetricValue> Metrics)
{
    /// <summary>Rows whose prediction could be read.</summary>
    public int Parsed => Rows.Count(row => row.Parsed);
}

/// <summary>Everything an evaluation found.</summary>
/// <param name="Rules">The rules.</param>
/// <param name="Groups">Each task by split, by data set and by modality.</param>
/// <param name="Mean">Unweighted means over splits (over data sets by the official rules), by metric.</param>
/// <param name="Rows">All rows scored, in order of uid.</param>
/// <param name="Unscored">Rows of tasks the rules score by a judge only, by task.</param>
/// <param name="Notes">What did not fit, one line each.</param>
public sealed record EvaluationResult(
    ScoringRules Rules, IReadOnlyList<GroupScore> Groups, IReadOnlyList<MetricValue> Mean, IReadOnlyList<ScoredRow> Rows, IReadOnlyList<(string Task, int Rows)> Unscored,
    IReadOnlyList<string> Notes)
{
    /// <summary>From which probability on a label counts as said, for sensitivity and specificity.</summary>
    public double LabelThreshold { get; init; } = 0.5;

    /// <summary>The groups of one kind.</summary>
    public IEnumerable<GroupScore> Of(GroupKind kind) => Groups.Where(group => group.Kind == kind);

    /// <summary>True where a second prediction file was compared.</summary>
    public bool IsComparison => Mean.Any(metric => metric.Other is not null);
}
