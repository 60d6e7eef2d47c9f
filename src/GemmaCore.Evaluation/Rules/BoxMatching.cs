namespace GemmaCore.Evaluation;

/// <summary>The ways in which the rules pair boxes of one row.</summary>
public static class BoxMatching
{
    /// <summary>
    /// 2026: all pairs of compatible labels (equal, or one side has none) in descending order of IoU, reference index and prediction index, each box once.
    /// Pairs at or above a threshold are the beginning of that order, so one pass serves all thresholds.
    /// </summary>
    /// <param name="references">Boxes of the reference.</param>
    /// <param name="predictions">Boxes of the prediction.</param>
    /// <param name="thresholds">Ascending; a pair counts when its IoU is at least that.</param>
    /// <returns>Pairs made at each threshold.</returns>
    public static int[] BestPairs(IReadOnlyList<Box> references, IReadOnlyList<Box> predictions, ReadOnlySpan<double> thresholds)
    {
        ArgumentNullException.ThrowIfNull(references);
        ArgumentNullException.ThrowIfNull(predictions);
        double lowest = thresholds[0];
        var pairs = new List<(double Iou, int Reference, int Prediction)>();
        for (int r = 0; r < references.Count; r++)
        {
            for (int p = 0; p < predictions.Count; p++)
            {
                if (references[r].Label is { } label && predictions[p].Label is { } other && label != other) continue;
                double iou = references[r].Iou(predictions[p]);
                if (iou >= lowest) pairs.Add((iou, r, p));
            }
        }

        pairs.Sort((a, b) => b.CompareTo(a));
        int[] matched = new int[thresholds.Length];
        bool[] usedReferences = new bool[references.Count], usedPredictions = new bool[predictions.Count];
        foreach ((double iou, int r, int p) in pairs)
        {
            if (usedReferences[r] || usedPredictions[p]) continue;
            usedReferences[r] = usedPredictions[p] = true;
            for (int t = 0; t < thresholds.Length && iou >= thresholds[t]; t++) matched[t]++;
        }

        return matched;
    }

    /// <summary>
    /// One side in its order, each box takes the best one left of the other side (the first of equals) if its IoU is above the threshold. The challenge goes
    /// through the references, the baseline of 2025 through the predictions.
    /// </summary>
    /// <returns>Pairs made.</returns>
    public static int InOrder(IReadOnlyList<Box> choosing, IReadOnlyList<Box> chosen, double threshold)
    {
        ArgumentNullException.ThrowIfNull(choosing);
        ArgumentNullException.ThrowIfNull(chosen);
        bool[] used = new bool[chosen.Count];
        int matched = 0;
        foreach (Box box in choosing)
        {
            int best = -1;
            double bestIou = threshold;
            for (int i = 0; i < chosen.Count; i++)
                if (!used[i] && box.Iou(chosen[i]) is var iou && iou > bestIou) (best, bestIou) = (i, iou);
            if (best < 0) continue;
            used[best] = true;
            matched++;
        }

        return matched;
    }

    /// <summary>Groups boxes by their label; none is a group of its own.</summary>
    public static ILookup<string, Box> ByLabel(IEnumerable<Box> boxes, string unlabelled = "") => boxes.ToLookup(box => box.Label ?? unlabelled, StringComparer.Ordinal);
}
