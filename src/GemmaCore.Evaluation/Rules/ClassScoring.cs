namespace GemmaCore.Evaluation;

/// <summary>
/// Classification: one label against another, all data sets pooled. Balanced accuracy is the mean recall of the classes that occur in the references,
/// F1 is weighted by how often a class occurs there (flare.md §6.2; scikit-learn's definitions).
/// </summary>
/// <param name="label">Reads a reference; null where the row is left out.</param>
/// <param name="prediction">Reads a prediction; null where the row is left out, empty where nothing could be read.</param>
/// <param name="binaryF1Fails">
/// The rules of 2025 ask for a binary F1 where references and predictions together hold at most two classes; that call raises on text labels, and all figures become 0.
/// </param>
public sealed class ClassScoring(Func<string, string?> label, Func<string?, string?> prediction, bool binaryF1Fails = false) : TaskScoring
{
    /// <inheritdoc/>
    public override string Task => TaskType.Classification.Name();

    /// <inheritdoc/>
    public override IReadOnlyList<string> Metrics => ["balanced_accuracy", "classification_accuracy", "classification_f1_score"];

    /// <inheritdoc/>
    public override ScoredRow Read(EvaluationRow row)
    {
        ArgumentNullException.ThrowIfNull(row);
        string? expected = label(row.Reference), given = prediction(row.Prediction);
        bool counts = expected is not null && given is not null;
        return new ScoredRow(row, expected ?? "", given ?? "", counts && given!.Length > 0, counts ? (expected == given ? 1 : 0) : null, []);
    }

    /// <inheritdoc/>
    public override TaskSample Sample(IReadOnlyList<ScoredRow> rows) => new ClassSample(rows, binaryF1Fails);
}

/// <summary>Rows of classification as class numbers.</summary>
internal sealed class ClassSample : TaskSample
{
    private readonly int[] _expected, _given; // class numbers; -1 in both where the row is left out
    private readonly int[] _support, _predicted, _hits; // by class, of the selection at hand
    private readonly bool _binaryF1Fails;

    public ClassSample(IReadOnlyList<ScoredRow> rows, bool binaryF1Fails)
    {
        var numbers = new Dictionary<string, int>(StringComparer.Ordinal);
        int Number(string text)
        {
            if (!numbers.TryGetValue(text, out int number)) numbers.Add(text, number = numbers.Count);
            return number;
        }

        _binaryF1Fails = binaryF1Fails;
        (_expected, _given) = (new int[rows.Count], new int[rows.Count]);
        // Classes of the references come first; predictions of any other text share what follows them, except where they have to be counted.
        for (int i = 0; i < rows.Count; i++) _expected[i] = rows[i].Score is null ? -1 : Number(rows[i].Reference);
        int other = numbers.Count;
        for (int i = 0; i < rows.Count; i++)
            _given[i] = rows[i].Score is null ? -1 : numbers.TryGetValue(rows[i].Prediction, out int number) ? number : binaryF1Fails ? Number(rows[i].Prediction) : other;
        int classes = Math.Max(numbers.Count, other + 1);
        (_support, _predicted, _hits) = (new int[classes], new int[classes], new int[classes]);
    }

    public override int Count => _expected.Length;

    public override void Measure(ReadOnlySpan<int> weights, Span<double> values)
    {
        Array.Clear(_support);
        Array.Clear(_predicted);
        Array.Clear(_hits);
        for (int i = 0; i < weights.Length; i++)
        {
            if (_expected[i] < 0) continue;
            _support[_expected[i]] += weights[i];
            _predicted[_given[i]] += weights[i];
            if (_expected[i] == _given[i]) _hits[_expected[i]] += weights[i];
        }

        double recalls = 0, f1 = 0;
        long rows = 0, hits = 0;
        int classes = 0, said = 0;
        for (int c = 0; c < _support.Length; c++)
        {
            if (_support[c] + _predicted[c] > 0) said++;
            // A class without references has recall and F1 of weight 0.
            if (_support[c] == 0) continue;
            classes++;
            rows += _support[c];
            hits += _hits[c];
            recalls += (double)_hits[c] / _support[c];
            f1 += _support[c] * SummedSample.Rates(_hits[c], _predicted[c] - _hits[c], _support[c] - _hits[c]).F1;
        }

        values[0] = rows == 0 ? double.NaN : recalls / classes;
        values[1] = rows == 0 ? double.NaN : (double)hits / rows;
        values[2] = rows == 0 ? double.NaN : f1 / rows;
        if (_binaryF1Fails && said <= 2) values[..3].Clear();
    }
}
