namespace GemmaCore.Evaluation;

/// <summary>References with their predictions, and what did not fit.</summary>
/// <param name="Rows">One row for each reference, sorted by uid.</param>
/// <param name="Missing">Uids without a prediction.</param>
/// <param name="Unknown">Predictions without a reference.</param>
/// <param name="Duplicates">Predictions that came more than once; the first counts.</param>
public sealed record MatchedRows(IReadOnlyList<EvaluationRow> Rows, IReadOnlyList<string> Missing, IReadOnlyList<string> Unknown, IReadOnlyList<string> Duplicates)
{
    /// <summary>One line for each kind of thing that did not fit, with the first ten names.</summary>
    public IEnumerable<string> Notes
    {
        get
        {
            if (Duplicates.Count > 0) yield return $"{Duplicates.Count} rows were predicted more than once, the first prediction counts: {FirstTen.Of(Duplicates)}";
            if (Unknown.Count > 0) yield return $"{Unknown.Count} predictions belong to no reference and are not scored: {FirstTen.Of(Unknown)}";
            if (Missing.Count > 0) yield return $"{Missing.Count} references have no prediction: {FirstTen.Of(Missing)}";
        }
    }
}

/// <summary>Finds the prediction of each reference: by uid, else by picture name and question, as the challenge does.</summary>
public static class RowMatching
{
    /// <summary>Matches.</summary>
    /// <param name="references">The references.</param>
    /// <param name="predictions">The predictions.</param>
    /// <param name="allowMissing">Rows without a prediction are kept without one, instead of an error.</param>
    /// <exception cref="EvaluationException">Predictions are missing, or none fits.</exception>
    public static MatchedRows Match(ReferenceSet references, PredictionSet predictions, bool allowMissing)
    {
        ArgumentNullException.ThrowIfNull(references);
        ArgumentNullException.ThrowIfNull(predictions);
        var unused = new HashSet<string>(predictions.ByName.Keys, StringComparer.Ordinal);
        var rows = new List<EvaluationRow>(references.References.Count);
        var missing = new List<string>();
        HashSet<string> shared = SharedKeys(references);
        foreach (Reference reference in references.References)
        {
            // The organisers' file has its ending in the uid, the file that was answered has not.
            bool byUid = predictions.ByName.TryGetValue(reference.Row.Uid, out Prediction? prediction)
                || predictions.ByName.TryGetValue(reference.Row.Uid.Replace("_withGT:", ":", StringComparison.Ordinal), out prediction);
            if (!byUid && predictions.ByName.TryGetValue(reference.Key, out prediction) && shared.Contains(reference.Key))
            {
                throw new EvaluationException(
                    $"{reference.Row.Where}: another reference has the same picture and question ('{reference.Key}'); predictions must name rows by uid");
            }

            if (prediction is null) missing.Add(reference.Row.Uid);
            else unused.Remove(prediction.Name);
            rows.Add(prediction is null ? reference.Row : reference.Row with { Prediction = prediction.Text, Scores = prediction.Scores });
        }

        foreach (Reference reference in references.Ignored)
        {
            unused.Remove(reference.Row.Uid);
            unused.Remove(reference.Key);
        }

        string files = string.Join(", ", predictions.Files);
        if (missing.Count == rows.Count)
        {
            throw new EvaluationException(
                $"{files}: no prediction belongs to any reference; references are named like '{references.References[0].Row.Uid}', predictions like '{predictions.ByName.Keys.First()}'");
        }

        if (missing.Count > 0 && !allowMissing)
        {
            throw new EvaluationException(
                $"{files}: {missing.Count} of {rows.Count} references have no prediction: {FirstTen.Of(missing)}; --allow-missing-predictions scores them as empty answers");
        }

        return new MatchedRows(rows, missing, [.. unused.Order(StringComparer.Ordinal)], predictions.Duplicates);
    }

    private static HashSet<string> SharedKeys(ReferenceSet references)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        return [.. references.References.Select(reference => reference.Key).Where(key => !seen.Add(key))];
    }
}
