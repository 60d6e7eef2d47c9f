using System.Text.RegularExpressions;

namespace GemmaCore.Checkpoints;

/// <summary>
/// A Python regular expression over module paths. It may have been written for any naming generation, so it matches a path when it matches one
/// of the path's spellings.
/// </summary>
internal sealed class ModulePattern
{
    private const int LongestPattern = 10_000;

    // An expression that takes longer on a path of a hundred characters is one that would never end.
    private static readonly TimeSpan TimeLimit = TimeSpan.FromSeconds(1);

    private readonly string _text, _where;
    private readonly Regex _regex;

    private ModulePattern(string text, string prefix, string where)
    {
        if (text.Length > LongestPattern) throw new CheckpointException($"{where}: a regular expression of {text.Length} characters is too long");
        (_text, _where) = (text, where);
        try
        {
            // Python's spelling of a named group; \z instead of $, which would allow a line feed at the end.
            _regex = new Regex($@"\A{prefix}(?:{text.Replace("(?P<", "(?<", StringComparison.Ordinal)})\z", RegexOptions.CultureInvariant, TimeLimit);
        }
        catch (ArgumentException error)
        {
            throw new CheckpointException($"{where}: '{text}' is not a regular expression: {error.Message}", error);
        }
    }

    /// <summary>Matches the whole path.</summary>
    public static ModulePattern Whole(string text, string where) => new(text, "", where);

    /// <summary>Matches the end of the path from a dot on, as <c>rank_pattern</c> keys do.</summary>
    public static ModulePattern Suffix(string text, string where) => new(text, @"(?:.*\.)?", where);

    /// <summary>Whether one of the path's spellings matches.</summary>
    public bool Matches(string canonicalPath)
    {
        try
        {
            foreach (NameGeneration generation in WeightNames.Generations)
                if (_regex.IsMatch(WeightNames.ToGeneration(canonicalPath, generation))) return true;
            return false;
        }
        catch (RegexMatchTimeoutException error)
        {
            throw new CheckpointException($"{_where}: matching '{_text}' against '{canonicalPath}' takes too long", error);
        }
    }
}
