namespace GemmaCore.Evaluation;

/// <summary>Pixels of one class in a reference and a prediction.</summary>
/// <param name="Common">In both.</param>
/// <param name="Reference">In the reference.</param>
/// <param name="Prediction">In the prediction.</param>
public readonly record struct MaskOverlap(long Common, long Reference, long Prediction)
{
    /// <summary>2·|A∩B| / (|A|+|B|); 1 where both are empty.</summary>
    public double Dice => Reference + Prediction == 0 ? 1 : 2.0 * Common / (Reference + Prediction);

    /// <summary>|A∩B| / |A∪B|; 1 where both are empty.</summary>
    public double Iou => Reference + Prediction == 0 ? 1 : (double)Common / (Reference + Prediction - Common);

    /// <summary>Counts of one class, or of everything but background.</summary>
    /// <param name="reference">Right mask.</param>
    /// <param name="prediction">Predicted mask, of the same size.</param>
    /// <param name="number">The class; null for any class but 0.</param>
    /// <exception cref="EvaluationException">The masks differ in size.</exception>
    public static MaskOverlap Of(Mask reference, Mask prediction, int? number = null)
    {
        ArgumentNullException.ThrowIfNull(reference);
        ArgumentNullException.ThrowIfNull(prediction);
        if ((reference.Width, reference.Height) != (prediction.Width, prediction.Height))
        {
            throw new EvaluationException(
                $"the reference has {reference.Width} x {reference.Height} pixels, the prediction {prediction.Width} x {prediction.Height}; masks are compared in the picture's own size");
        }

        long common = 0, inReference = 0, inPrediction = 0;
        for (int i = 0; i < reference.Classes.Length; i++)
        {
            bool a = number is { } n ? reference.Classes[i] == n : reference.Classes[i] != 0, b = number is { } m ? prediction.Classes[i] == m : prediction.Classes[i] != 0;
            if (a) inReference++;
            if (b) inPrediction++;
            if (a && b) common++;
        }

        return new MaskOverlap(common, inReference, inPrediction);
    }
}

/// <summary>Overlap of one class over many pictures.</summary>
/// <param name="Class">The class number; 1 for binary masks.</param>
/// <param name="Pictures">Pictures counted.</param>
/// <param name="MeanDice">Mean of each picture's Dice.</param>
/// <param name="MeanIou">Mean of each picture's IoU.</param>
/// <param name="CumulativeDice">Dice of all pixels together.</param>
/// <param name="CumulativeIou">IoU of all pixels together (cIoU: ΣI / ΣU).</param>
public sealed record MaskScore(int Class, int Pictures, double MeanDice, double MeanIou, double CumulativeDice, double CumulativeIou)
{
    /// <summary>The score of one class.</summary>
    public static MaskScore Of(int number, IReadOnlyList<MaskOverlap> pictures)
    {
        ArgumentNullException.ThrowIfNull(pictures);
        var all = new MaskOverlap(pictures.Sum(one => one.Common), pictures.Sum(one => one.Reference), pictures.Sum(one => one.Prediction));
        return new MaskScore(number, pictures.Count, pictures.Average(one => one.Dice), pictures.Average(one => one.Iou), all.Dice, all.Iou);
    }
}
