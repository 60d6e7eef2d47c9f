using System.Text.RegularExpressions;

namespace GemmaCore.Evaluation;

/// <summary>
/// Words of a report as the COCO caption tools count them: Penn Treebank tokens in lower case, without punctuation (flare.md §8.4). This follows the Treebank rules
/// for what reports hold (contractions, brackets, quotes, numbers, abbreviations, hyphens), not every corner of Stanford's lexer.
/// </summary>
public static partial class CaptionTokens
{
    // Removed after tokenisation; a straight double quote becomes one of the curly pairs there and goes with them. Brackets are written -lrb- by a lower-casing tokeniser and so escape this list, in the tools as here.
    private static readonly HashSet<string> Removed =
        ["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";", "\""];

    private static readonly Dictionary<string, string> Brackets = new() { ["("] = "-lrb-", [")"] = "-rrb-", ["["] = "-lsb-", ["]"] = "-rsb-", ["{"] = "-lcb-", ["}"] = "-rcb-" };

    private static readonly HashSet<string> Abbreviations =
        ["mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "vs.", "etc.", "e.g.", "i.e.", "a.m.", "p.m.", "u.s.", "no.", "approx.", "fig.", "inc.", "jr.", "sr."];

    // Words that the Treebank cuts in two: (word, length of its first part).
    private static readonly Dictionary<string, int> Joined = new() { ["cannot"] = 3, ["gonna"] = 3, ["gotta"] = 3, ["wanna"] = 3, ["lemme"] = 3, ["gimme"] = 3 };

    /// <summary>The words, in order.</summary>
    public static IReadOnlyList<string> Of(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var tokens = new List<string>();
        foreach (Match match in Piece().Matches(text.ToLowerInvariant().Replace('’', '\'').Replace('‘', '\'')))
            foreach (string token in Split(match.Value))
                if (!Removed.Contains(token)) tokens.Add(token);
        return tokens;
    }

    private static IEnumerable<string> Split(string piece)
    {
        if (Brackets.TryGetValue(piece, out string? bracket)) return [bracket];
        if (piece.EndsWith('.') && piece.Length > 1 && piece != "...")
        {
            // An abbreviation keeps its stop, the last word of a sentence does not.
            return Abbreviations.Contains(piece) || Initials().IsMatch(piece) ? [piece] : [.. Split(piece[..^1]), "."];
        }

        if (Joined.TryGetValue(piece, out int cut)) return [piece[..cut], piece[cut..]];
        if (Contraction().Match(piece) is { Success: true } match) return [.. match.Groups[1].Length > 0 ? (string[])[match.Groups[1].Value] : [], match.Groups[2].Value];
        return [piece.Replace("/", "\\/", StringComparison.Ordinal)];
    }

    // Numbers with points, commas and slashes inside; words with hyphens, apostrophes and stops inside; runs of stops and dashes; any other character alone.
    [GeneratedRegex(@"[0-9]+(?:[.,/:][0-9]+)*(?:[\p{L}][\p{L}0-9]*)?(?:-[\p{L}0-9]+)*|(?:[\p{L}]\.){2,}|[\p{L}\p{M}0-9_]+(?:[-'/.][\p{L}\p{M}0-9_]+)*'?\.?|'(?:s|m|d|re|ve|ll)\b|\.\.\.|--+|``|''|\S")]
    private static partial Regex Piece();

    [GeneratedRegex(@"^(?:\p{L}\.)+$")]
    private static partial Regex Initials();

    [GeneratedRegex(@"^(.*?)(n't|'s|'m|'d|'re|'ve|'ll|')$")]
    private static partial Regex Contraction();
}
