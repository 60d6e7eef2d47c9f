using System.Globalization;

namespace GemmaCore.Evaluation;

/// <summary>What becomes of a prediction without a number.</summary>
public enum NoNumber
{
    /// <summary>It counts as 0 (2026).</summary>
    CountsAsZero,

    /// <summary>The row is left out (2025).</summary>
    LeavesRowOut,

    /// <summary>The error of the whole task is infinite (the challenge).</summary>
    MakesErrorInfinite,
}

/// <summary>Counting and regression: mean absolute error and root of the mean squared error, in double precision, without outlier rule (flare.md §6.5).</summary>
/// <param name="task"><see cref="TaskType.Counting"/> or <see cref="TaskType.Regression"/>.</param>
/// <param name="reference">Reads a reference; null where there is no number.</param>
/// <param name="prediction">Reads a prediction.</param>
/// <param name="noNumber">What becomes of a prediction without a number.</param>
public sealed class NumberScoring(TaskType task, Func<string, double?> reference, Func<string, double?> prediction, NoNumber noNumber) : TaskScoring
{
    private const int Counted = 0, AbsoluteError = 1, SquaredError = 2, Unreadables = 3;

    /// <inheritdoc/>
    public override string Task => task.Name();

    /// <inheritdoc/>
    public override bool LowerIsBetter => true;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Metrics => [Prefix + "_mean_absolute_error", Prefix + "_root_mean_squared_error"];

    /// <inheritdoc/>
    public override string PublishedMetric => "mean_absolute_error";

    private string Prefix => task == TaskType.Counting ? "cell_counting" : "regression";

    /// <inheritdoc/>
    public override ScoredRow Read(EvaluationRow row)
    {
        ArgumentNullException.ThrowIfNull(row);
        bool official = noNumber == NoNumber.MakesErrorInfinite;
        double? expected = reference(row.Reference), given = row.Prediction is { } text ? prediction(text) : null;
        if (expected is null && noNumber == NoNumber.CountsAsZero) throw Unreadable(row, "holds no number");
        string[] shown = [Show(expected), Show(given)];
        // The challenge never sees a question that was not answered; what it cannot read spoils the task.
        if (official && row.Prediction is null) return new ScoredRow(row, shown[0], "", false, null, new double[4]);
        if (official && (expected is null || given is null))
            return new ScoredRow(row, shown[0], shown[1], given is not null, double.PositiveInfinity, [1, 0, 0, 1]);
        if (expected is null || (given is null && noNumber == NoNumber.LeavesRowOut)) return new ScoredRow(row, shown[0], shown[1], false, null, new double[4]);
        double error = Math.Abs(expected.Value - (given ?? 0));
        return new ScoredRow(row, shown[0], shown[1], given is not null, error, [1, error, error, 0]);
    }

    /// <inheritdoc/>
    public override TaskSample Sample(IReadOnlyList<ScoredRow> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        // Squares are taken of errors divided by the largest one: an answer of 250 digits must not overflow (it happened, flare.md §6.5).
        double scale = 1;
        foreach (ScoredRow row in rows)
            if (double.IsFinite(row.Terms[AbsoluteError])) scale = Math.Max(scale, row.Terms[AbsoluteError]);
        ScoredRow[] scaled = [.. rows.Select(row => row with { Terms = [row.Terms[0], row.Terms[1], row.Terms[2] / scale * (row.Terms[2] / scale), row.Terms[3]] })];
        bool emptyIsInfinite = noNumber == NoNumber.LeavesRowOut;
        return new SummedSample(scaled, 4, (sums, _, values) =>
        {
            if (sums[Unreadables] > 0 || (sums[Counted] == 0 && emptyIsInfinite)) values.Fill(double.PositiveInfinity);
            else if (sums[Counted] == 0) values.Fill(double.NaN);
            else (values[0], values[1]) = (sums[AbsoluteError] / sums[Counted], scale * Math.Sqrt(sums[SquaredError] / sums[Counted]));
        });
    }

    private static string Show(double? number) =>
        number is not { } value ? "" : double.IsFinite(value) ? AnswerText.FormatNumber(value) : value.ToString(CultureInfo.InvariantCulture);
}
