namespace GemmaCore.Training.Datasets;

/// <summary>
/// Collects unreadable rows: the first one ends the run, or all are listed and left out (<c>on_bad_row: stop | skip</c>). Counts what is left out by design as well.
/// </summary>
/// <param name="Skip">True to go on without the row.</param>
public sealed record RowReport(bool Skip)
{
    private const int MostLines = 20;

    private readonly List<string> _skipped = [];
    private readonly SortedDictionary<string, int> _leftOut = new(StringComparer.Ordinal);

    /// <summary>One line per row left out.</summary>
    public IReadOnlyList<string> Skipped => _skipped;

    /// <summary>What to tell the user: the first bad rows, how many more, and how many rows were left out by design, by reason.</summary>
    public IEnumerable<string> Lines
    {
        get
        {
            foreach (string row in _skipped.Take(MostLines)) yield return row;
            if (_skipped.Count > MostLines) yield return $"and {_skipped.Count - MostLines} more rows that cannot be used";
            foreach ((string reason, int count) in _leftOut) yield return $"{count} {reason}";
        }
    }

    /// <summary>Reports a bad row.</summary>
    /// <exception cref="DatasetException">Bad rows stop the run.</exception>
    public void Add(string row, string problem)
    {
        if (!Skip) throw new DatasetException($"{row}: {problem} (on_bad_row: skip leaves such rows out)");
        _skipped.Add($"{row}: {problem}");
    }

    /// <summary>Counts something that a data set leaves out by design, such as studies without the wanted section.</summary>
    /// <param name="reason">What and why, as it stands behind a number: "studies without findings".</param>
    public void LeaveOut(string reason) => _leftOut[reason] = _leftOut.GetValueOrDefault(reason) + 1;
}
