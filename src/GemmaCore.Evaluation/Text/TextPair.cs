namespace GemmaCore.Evaluation.Text;

/// <summary>A generated text and what it is held against, as words.</summary>
/// <param name="Candidate">The generated text.</param>
/// <param name="References">At least one.</param>
public sealed record TextPair(IReadOnlyList<string> Candidate, IReadOnlyList<IReadOnlyList<string>> References)
{
    /// <summary>Texts by <see cref="CaptionTokenizer"/>.</summary>
    /// <exception cref="ArgumentException">There is no reference.</exception>
    public static TextPair Of(string candidate, params IReadOnlyList<string> references)
    {
        ArgumentNullException.ThrowIfNull(references);
        if (references.Count == 0) throw new ArgumentException("a text without a reference cannot be scored", nameof(references));
        return new TextPair(CaptionTokenizer.Words(candidate), [.. references.Select(CaptionTokenizer.Words)]);
    }
}
