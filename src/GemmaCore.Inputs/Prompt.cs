namespace GemmaCore.Inputs;

/// <summary>Where a picture's tokens stand in a prompt.</summary>
/// <param name="Start">Position of the first image token.</param>
/// <param name="Length">Number of image tokens.</param>
public readonly record struct ImageSpan(int Start, int Length);

/// <summary>What goes into the model: token ids, and pictures for the image tokens among them.</summary>
/// <param name="Ids">Token ids, the opening token first.</param>
/// <param name="Images">Prepared pictures in the order of their tokens; pan-and-scan crops are pictures of their own.</param>
/// <param name="ImageSpans">One span of image tokens per picture.</param>
public sealed record Prompt(int[] Ids, IReadOnlyList<ImagePixels> Images, IReadOnlyList<ImageSpan> ImageSpans)
{
    /// <summary>Image tokens of all pictures together.</summary>
    public int ImageTokenCount => ImageSpans.Sum(span => span.Length);
}

/// <summary>A whole conversation to train on.</summary>
/// <param name="Prompt">All tokens and pictures, the answers included.</param>
/// <param name="IsAnswer">For every token: true where the model is to be taught, which is the answers and their end marks.</param>
public sealed record TrainingPrompt(Prompt Prompt, bool[] IsAnswer);
