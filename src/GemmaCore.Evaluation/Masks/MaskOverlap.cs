namespace GemmaCore.Evaluation.Masks;

/// <summary>Pixels of a structure in a predicted and a reference mask, of one picture or summed over several.</summary>
/// <param name="Both">Pixels in both.</param>
/// <param name="Predicted">Pixels in the prediction.</param>
/// <param name="Reference">Pixels in the reference.</param>
public readonly record struct MaskOverlap(long Both, long Predicted, long Reference)
{
    /// <summary>2|A∩B| / (|A|+|B|); 1 where both are empty, 0 where one is.</summary>
    public double Dice => Predicted + Reference == 0 ? 1 : 2.0 * Both / (Predicted + Reference);

    /// <summary>|A∩B| / |A∪B|; 1 where both are empty. Of a sum over pictures: the cumulative one, cIoU.</summary>
    public double Iou => Predicted + Reference == 0 ? 1 : (double)Both / (Predicted + Reference - Both);

    /// <summary>Pixels of two pictures together.</summary>
    public static MaskOverlap operator +(MaskOverlap a, MaskOverlap b) => new(a.Both + b.Both, a.Predicted + b.Predicted, a.Reference + b.Reference);

    /// <summary>As the operator.</summary>
    public static MaskOverlap Add(MaskOverlap a, MaskOverlap b) => a + b;

    /// <summary>Two masks of yes and no.</summary>
    /// <exception cref="EvaluationException">They have other sizes.</exception>
    public static MaskOverlap Of(Mask predicted, Mask reference, byte value = 1)
    {
        ArgumentNullException.ThrowIfNull(predicted);
        ArgumentNullException.ThrowIfNull(reference);
        if ((predicted.Width, predicted.Height) != (reference.Width, reference.Height))
            throw new EvaluationException($"the predicted mask is {predicted.Width} x {predicted.Height} pixels, the reference {reference.Width} x {reference.Height}");
        long both = 0, ours = 0, theirs = 0;
        ReadOnlySpan<byte> a = predicted.Values, b = reference.Values;
        for (int i = 0; i < a.Length; i++)
        {
            bool inA = a[i] == value, inB = b[i] == value;
            if (inA) ours++;
            if (inB) theirs++;
            if (inA && inB) both++;
        }

        return new MaskOverlap(both, ours, theirs);
    }

    /// <summary>Every structure of two masks whose values are its numbers; 0 is the background and is left out.</summary>
    /// <exception cref="EvaluationException">They have other sizes.</exception>
    public static IReadOnlyDictionary<byte, MaskOverlap> OfClasses(Mask predicted, Mask reference)
    {
        ArgumentNullException.ThrowIfNull(predicted);
        ArgumentNullException.ThrowIfNull(reference);
        return predicted.Values.ToArray().Concat(reference.Values.ToArray()).Distinct().Where(value => value != 0).Order()
            .ToDictionary(value => value, value => Of(predicted, reference, value));
    }
}
