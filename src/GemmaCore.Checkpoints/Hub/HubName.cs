using System.Text.RegularExpressions;

namespace GemmaCore.Checkpoints.Hub;

/// <summary>
/// Names that come from outside and become paths here: repository ids, revisions, file names. Whatever passes cannot leave the
/// folder that it is joined to.
/// </summary>
public static partial class HubName
{
    private const int LongestPath = 1024, LongestRepository = 192;

    /// <summary>True for <c>NAME</c> or <c>ORG/NAME</c> in the hub's alphabet.</summary>
    public static bool IsRepository(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        // The cache writes '/' as "--"; with "--" in a name two repositories could share one folder.
        return text.Length <= LongestRepository && RepositoryPattern().IsMatch(text)
            && !text.Contains("..", StringComparison.Ordinal) && !text.Contains("--", StringComparison.Ordinal);
    }

    /// <summary>True for a full commit id: 40 lower-case hexadecimal digits.</summary>
    public static bool IsCommit(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.Length == 40 && text.All(char.IsAsciiHexDigitLower);
    }

    /// <summary>True for a relative path that stays below the folder it is joined to, on every operating system.</summary>
    public static bool IsRelativePath(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.Length <= LongestPath && text.AsSpan().IndexOfAny('\\', ':') < 0 && !text.Any(char.IsControl)
            && text.Split('/').All(segment => segment is not ("" or "." or ".."));
    }

    internal static void CheckRepository(string text)
    {
        if (!IsRepository(text))
            throw new CheckpointException($"'{text}' is no hub repository; expected ORG/NAME, such as google/medgemma-4b-it");
    }

    internal static void CheckRevision(string text)
    {
        if (!IsRelativePath(text))
            throw new CheckpointException($"'{text}' is no hub revision; expected a branch, a tag or a commit id");
    }

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9_.\-]*(/[A-Za-z0-9][A-Za-z0-9_.\-]*)?\z")]
    private static partial Regex RepositoryPattern();
}
