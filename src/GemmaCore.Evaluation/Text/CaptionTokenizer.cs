using System.Text.RegularExpressions;

namespace GemmaCore.Evaluation.Text;

/// <summary>
/// Words of a report as the COCO caption tools count them: Penn Treebank tokens in lower case, punctuation taken out (flare.md §8.4). Follows Stanford's
/// PTBTokenizer 3.4.1 in what English reports hold: contractions come apart (<c>does n't</c>), hyphenated words, numbers, dates and abbreviations stay whole,
/// brackets are <c>-lrb-</c> and the like, which the caption tools, looking for capitals, leave in. Not taken over: web and mail addresses, and names that end in a full stop.
/// </summary>
public static partial class CaptionTokenizer
{
    // Behind lower case: the upper-case names of brackets in the tools' own list match nothing.
    private static readonly HashSet<string> Punctuation = ["''", "'", "``", "`", "\"", ".", "?", "!", ",", ":", "-", "--", "...", ";"];

    private static readonly Dictionary<string, string[]> Joined = new(StringComparer.Ordinal)
    {
        ["cannot"] = ["can", "not"], ["gonna"] = ["gon", "na"], ["gotta"] = ["got", "ta"], ["lemme"] = ["lem", "me"], ["wanna"] = ["wan", "na"], ["gimme"] = ["gim", "me"],
    };

    private static readonly Dictionary<string, string> Brackets = new(StringComparer.Ordinal)
    {
        ["("] = "-lrb-", [")"] = "-rrb-", ["["] = "-lsb-", ["]"] = "-rsb-", ["{"] = "-lcb-", ["}"] = "-rcb-",
    };

    /// <summary>The words in their order.</summary>
    public static IReadOnlyList<string> Words(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var words = new List<string>();
        foreach (Match match in Tokens().Matches(text.ToLowerInvariant().Replace('’', '\'')))
        {
            string token = match.Value;
            if (Punctuation.Contains(token)) continue;
            if (Brackets.TryGetValue(token, out string? bracket)) words.Add(bracket);
            else if (Joined.TryGetValue(token, out string[]? parts)) words.AddRange(parts);
            else words.AddRange(Apart(token));
        }

        return words;
    }

    private static IEnumerable<string> Apart(string token) =>
        Contraction().Match(token) is { Success: true, Groups: var parts } ? [parts[1].Value, parts[2].Value] : [token];

    // In this order: marks of several characters, abbreviations, those that are some before numbers only (a report may end in "no."), numbers, words with inner hyphens, apostrophes and ampersands, and whatever is left by the character.
    [GeneratedRegex(@"\.{2,}|-{2,}|''|``
        | (?:\p{L}\.){2,} | \b(?:mr|mrs|ms|dr|prof|st|lt|rt|vs|etc|al|jr|sr|inc|co|corp|dept|est|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mon|tues?|wed|thu|thurs|fri)\.
        | \b(?:nos?|figs?|approx|ca|pp|op)\.(?=\s*\p{N})
        | (?<![\p{L}\p{N}])[-+]?\p{N}+(?:[.,:/-]\p{N}+)*(?![\p{L}\p{N}])
        | [\p{L}\p{N}]+(?:[-'&._][\p{L}\p{N}]+)*
        | \S", RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex Tokens();

    [GeneratedRegex(@"^(.+?)(n't|'(?:s|re|ve|ll|d|m))$")]
    private static partial Regex Contraction();
}
