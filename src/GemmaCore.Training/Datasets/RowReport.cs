namespace GemmaCore.Training.Datasets;

/// <summary>Collects unreadable rows: the first one ends the run, or all are listed and left out (<c>on_bad_row: stop | skip</c>).</summary>
/// <param name="Skip">True to go on without the row.</param>
public sealed record RowReport(bool Skip)
{
    private readonly List<string> _skipped = [];

    /// <summary>One line per row left out.</summary>
    public IReadOnlyList<string> Skipped => _skipped;

    /// <summary>Reports a bad row.</summary>
    /// <exception cref="DatasetException">Bad rows stop the run.</exception>
    public void Add(string row, string problem)
    {
        if (!Skip) throw new DatasetException($"{row}: {problem} (on_bad_row: skip leaves such rows out)");
        _skipped.Add($"{row}: {problem}");
    }
}
