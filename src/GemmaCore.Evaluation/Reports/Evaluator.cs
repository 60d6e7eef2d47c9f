namespace GemmaCore.Evaluation;

/// <summary>Scores matched rows by one set of rules: micro within a split, then the mean over splits (flare.md §6.7); by data set and modality as well.</summary>
/// <param name="rules">The rules.</param>
/// <param name="resamples">Bootstrap resamples; 0 for no intervals.</param>
/// <param name="seed">Seed of the resamples.</param>
public sealed class Evaluator(ScoringRules rules, int resamples, int seed)
{
    private sealed record Group(GroupKind Kind, string Name, TaskScoring Scoring, ScoredRow[] Rows, ScoredRow[]? Others);

    private sealed record Measured(GroupScore Score, double[][] Replicates);

    /// <summary>Scores rows.</summary>
    /// <param name="rows">References with predictions, sorted by uid.</param>
    /// <param name="others">The same references with a second file's predictions, to compare; null for none.</param>
    /// <exception cref="EvaluationException">A reference cannot be read, where the rules make that an error.</exception>
    public EvaluationResult Score(MatchedRows rows, MatchedRows? others = null)
    {
        ArgumentNullException.ThrowIfNull(rows);
        var scored = new List<(TaskScoring Scoring, ScoredRow Row, ScoredRow? Other)>(rows.Rows.Count);
        var unscored = new SortedDictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i < rows.Rows.Count; i++)
        {
            EvaluationRow row = rows.Rows[i];
            if (rules.For(row.Task, row.IsInstanceDetection) is not { } scoring) unscored[row.Task.Name()] = unscored.GetValueOrDefault(row.Task.Name()) + 1;
            else scored.Add((scoring, scoring.Read(row), others is null ? null : scoring.Read(others.Rows[i])));
        }

        Group[] groups = [.. Groups(scored, GroupKind.Split, row => row.Split), .. Groups(scored, GroupKind.Dataset, row => row.Dataset), .. Groups(scored, GroupKind.Modality, row => Modality(row.Modality))];
        var measured = new Measured[groups.Length];
        Parallel.For(0, groups.Length, i => measured[i] = Measure(groups[i]));
        GroupKind averaged = rules.MeanOverDatasets ? GroupKind.Dataset : GroupKind.Split;
        string[] notes = [.. rows.Notes, .. (others?.Notes ?? []).Select(note => "compared file: " + note)];
        return new EvaluationResult(
            rules, [.. measured.Select(item => item.Score)], [.. Means([.. measured.Where(item => item.Score.Kind == averaged)])], [.. scored.Select(item => item.Row)],
            [.. unscored.Select(entry => (entry.Key, entry.Value))], notes);
    }

    /// <summary>One name for the spellings of a modality (<c>X-ray</c>, <c>X-Ray</c>): letters and digits in lower case.</summary>
    public static string Modality(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string plain = new([.. text.ToLowerInvariant().Where(char.IsLetterOrDigit)]);
        return plain.Length > 0 ? plain : "unknown";
    }

    private static IEnumerable<Group> Groups(
        List<(TaskScoring Scoring, ScoredRow Row, ScoredRow? Other)> rows, GroupKind kind, Func<EvaluationRow, string> name) =>
        rows.GroupBy(item => (Name: name(item.Row.Row), item.Scoring.Task)).OrderBy(group => group.Key.Name, StringComparer.Ordinal).ThenBy(group => group.Key.Task, StringComparer.Ordinal)
            .Select(group => new Group(
                kind, group.Key.Name, group.First().Scoring, [.. group.Select(item => item.Row)], group.First().Other is null ? null : [.. group.Select(item => item.Other!)]));

    private Measured Measure(Group group)
    {
        TaskScoring scoring = group.Scoring;
        int metrics = scoring.Metrics.Count;
        TaskSample[] samples = [scoring.Sample(group.Rows), .. group.Others is null ? Array.Empty<TaskSample>() : [scoring.Sample(group.Others)]];
        double[][] values = [.. samples.Select(sample => sample.Measure(metrics))];
        double[][] replicates = Bootstrap.Measure(samples, metrics, resamples, seed, $"{group.Kind}/{group.Name}/{scoring.Task}");
        MetricValue[] figures = [.. scoring.Metrics.Select((name, m) => Figure(name, [.. values.Select(one => one[m])], [.. replicates.Select(one => Column(one, m, metrics))]))];
        return new Measured(new GroupScore(group.Kind, group.Name, scoring, group.Rows, figures), replicates);
    }

    private static MetricValue Figure(string name, double[] values, double[][] replicates)
    {
        bool compared = values.Length > 1, drawn = replicates[0].Length > 0;
        return new MetricValue(
            name, values[0], drawn ? Bootstrap.Of(replicates[0]) : null, compared ? values[1] : null,
            compared && drawn ? Bootstrap.Of(replicates[0].Zip(replicates[1], (one, other) => one - other)) : null);
    }

    // Unweighted over the groups that have the metric and where it is a number; replicate by replicate for the interval.
    private IEnumerable<MetricValue> Means(Measured[] groups)
    {
        foreach (IGrouping<string, Measured> task in groups.GroupBy(item => item.Score.Scoring.Task))
        {
            TaskScoring scoring = task.First().Score.Scoring;
            int metrics = scoring.Metrics.Count, files = task.First().Replicates.Length;
            for (int m = 0; m < metrics; m++)
            {
                double[] values = [.. Enumerable.Range(0, files).Select(f => Mean(task.Select(item => f == 0 ? item.Score.Metrics[m].Value : item.Score.Metrics[m].Other!.Value)))];
                double[][] replicates = [.. Enumerable.Range(0, files).Select(f => Enumerable.Range(0, resamples).Select(r => Mean(task.Select(item => item.Replicates[f][r * metrics + m]))).ToArray())];
                yield return Figure(scoring.Metrics[m], values, replicates);
            }
        }
    }

    private static double[] Column(double[] table, int column, int width) => [.. Enumerable.Range(0, table.Length / width).Select(row => table[row * width + column])];

    private static double Mean(IEnumerable<double> values)
    {
        double sum = 0;
        int count = 0;
        foreach (double value in values)
        {
            if (double.IsNaN(value)) continue;
            sum += value;
            count++;
        }

        return count == 0 ? double.NaN : sum / count;
    }
}
