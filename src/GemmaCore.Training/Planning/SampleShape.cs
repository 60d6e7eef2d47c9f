namespace GemmaCore.Training.Planning;

/// <summary>The largest sample that a run may meet: what a plan is made for.</summary>
/// <param name="Tokens">Tokens of prompt and answer, image tokens included.</param>
/// <param name="Images">Pictures.</param>
/// <param name="Targets">Tokens that count in the loss.</param>
public sealed record SampleShape(int Tokens, int Images, int Targets)
{
    /// <summary>A sample of full length, all of whose text counts in the loss.</summary>
    public static SampleShape OfLength(int tokens, int images, int tokensPerImage) => new(tokens, images, (int)Math.Max(1, tokens - (long)images * tokensPerImage - 1));

    /// <summary>The largest in every respect.</summary>
    public static SampleShape Largest(IEnumerable<EncodedExample> examples)
    {
        ArgumentNullException.ThrowIfNull(examples);
        var largest = new SampleShape(0, 0, 0);
        foreach (EncodedExample example in examples)
        {
            largest = new SampleShape(
                Math.Max(largest.Tokens, example.Ids.Length), Math.Max(largest.Images, example.ImageKeys.Count), Math.Max(largest.Targets, example.TargetCount));
        }

        return largest;
    }
}
