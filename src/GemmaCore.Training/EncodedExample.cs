using GemmaCore.Inputs;

namespace GemmaCore.Training;

/// <summary>One sample as the model sees it.</summary>
/// <param name="Ids">Prompt and answer tokens.</param>
/// <param name="IsTarget">Per token: true where the model is taught to produce it.</param>
/// <param name="Images">Prepared pictures in the order of their tokens; empty where only their features are needed any more.</param>
/// <param name="ImageKeys">What identifies each picture, for the feature cache; file path or content hash.</param>
public sealed record EncodedExample(int[] Ids, bool[] IsTarget, IReadOnlyList<ImagePixels> Images, IReadOnlyList<string> ImageKeys)
{
    /// <summary>Tokens that count in the loss. The first token has nothing before it to be predicted from.</summary>
    public int TargetCount => IsTarget.AsSpan(1).Count(true);
}
