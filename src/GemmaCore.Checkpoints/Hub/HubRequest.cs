using System.IO.Enumeration;

namespace GemmaCore.Checkpoints.Hub;

/// <summary>What to download: a repository at a revision, all of it or the files that patterns choose.</summary>
/// <param name="Repository"><c>ORG/NAME</c>.</param>
public sealed record HubRequest(string Repository)
{
    /// <summary>Branch, tag or commit id.</summary>
    public string Revision { get; init; } = "main";

    /// <summary>Patterns (<c>*</c> any run of characters, slashes too; <c>?</c> one) of files wanted; empty: all files.</summary>
    public IReadOnlyList<string> Include { get; init; } = [];

    /// <summary>Patterns of files not wanted, even when included.</summary>
    public IReadOnlyList<string> Exclude { get; init; } = [];

    /// <summary>Folder for plain files instead of the cache, or null.</summary>
    public string? LocalFolder { get; init; }

    internal bool Wants(string file) => (Include.Count == 0 || MatchesAny(Include, file)) && !MatchesAny(Exclude, file);

    // "folder/" means everything below it, as it does for the Python tools.
    private static bool MatchesAny(IReadOnlyList<string> patterns, string file) =>
        patterns.Any(pattern => FileSystemName.MatchesSimpleExpression(pattern.EndsWith('/') ? pattern + "*" : pattern, file, ignoreCase: false));
}
