using System.Text.RegularExpressions;

namespace GemmaCore.Evaluation;

/// <summary>Finds the JSON in what a model said around it.</summary>
internal static partial class EmbeddedJson
{
    private const string ThoughtEnd = "<unused95>";

    /// <summary>
    /// What stands in the last fence, or from the first bracket on, without words behind it where what is left is JSON; thoughts in front of an answer are not part of it.
    /// A text without brackets comes back as it is.
    /// </summary>
    public static string Of(string text)
    {
        int thought = text.LastIndexOf(ThoughtEnd, StringComparison.Ordinal);
        if (thought >= 0) text = text[(thought + ThoughtEnd.Length)..];
        if (Fence().Matches(text) is { Count: > 0 } fences) return fences[^1].Groups[1].Value.Trim();
        int start = text.AsSpan().IndexOfAny('[', '{');
        if (start < 0) return text;
        string from = text[start..];
        if (AnswerText.Decode(from) is not null) return from;
        int end = from.LastIndexOfAny([']', '}']);
        return end >= 0 && AnswerText.Decode(from[..(end + 1)]) is not null ? from[..(end + 1)] : from;
    }

    [GeneratedRegex(@"```[a-zA-Z]*\s*(.*?)(?:```|$)", RegexOptions.Singleline)]
    private static partial Regex Fence();
}
