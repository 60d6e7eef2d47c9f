using System.Text.RegularExpressions;

namespace GemmaCore.Evaluation;

/// <summary>The options that a question offers in its own text (flare.md §1.5).</summary>
public static partial class QuestionOptions
{
    /// <summary>
    /// Letters of the options: <c>A: text B: text</c>, <c>A. text</c>, <c>A) text</c> or <c>(A) text</c>, in a row from A on. Empty where there are fewer than two.
    /// </summary>
    public static IReadOnlyList<string> Letters(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var letters = new List<string>();
        foreach (Match match in Marks().Matches(text))
        {
            char letter = match.Groups[1].Value[0];
            if (letter == 'A' && letters.Count == 1) continue; // an A that was no option, or one that is said again
            if (letter == 'A' + letters.Count) letters.Add(letter.ToString());
        }

        return letters.Count > 1 ? letters : [];
    }

    // A capital alone, with a mark behind it and something behind the mark.
    [GeneratedRegex(@"(?<![\p{L}\p{N}])([A-Z])[:.)](?=\s*\S)")]
    private static partial Regex Marks();
}
