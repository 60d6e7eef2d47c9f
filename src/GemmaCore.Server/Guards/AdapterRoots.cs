namespace GemmaCore.Server.Guards;

/// <summary>
/// The folders below which adapters may be loaded over HTTP. A request names a folder by a relative path of plain names; where it leads, links and all, has to stay below
/// the root, before its files are opened and after.
/// </summary>
internal sealed class AdapterRoots
{
    private const int MostParts = 8, LongestPart = 128, MostLinks = 40;

    private static readonly string[] Files = ["adapter_config.json", "adapter_model.safetensors"];

    private readonly string[] _roots;

    /// <exception cref="DirectoryNotFoundException">A root is not there.</exception>
    public AdapterRoots(IReadOnlyList<string> roots) => _roots =
        [.. roots.Select(root => Directory.Exists(root) ? Canonical(Path.GetFullPath(root)) : throw new DirectoryNotFoundException($"the adapter root {root} is not a folder"))];

    /// <summary>True when adapters may be loaded at all.</summary>
    public bool Any => _roots.Length > 0;

    /// <summary>True for a path of plain names: nothing absolute, no dots that lead up, no separators but <c>/</c>.</summary>
    public static bool IsPlain(string path)
    {
        string[] parts = path.Split('/');
        return parts.Length <= MostParts && Array.TrueForAll(parts, part => part.Length is > 0 and <= LongestPart && part[0] != '.'
            && part.All(character => char.IsAsciiLetterOrDigit(character) || character is '.' or '_' or '-'));
    }

    /// <summary>The adapter folder of a plain path, canonical; null when there is none below any root.</summary>
    public string? Find(string path)
    {
        if (!IsPlain(path)) return null;
        foreach (string root in _roots)
        {
            string folder = Path.Combine(root, path.Replace('/', Path.DirectorySeparatorChar));
            if (Directory.Exists(folder) && Canonical(folder) is { } canonical && IsSound(canonical)) return canonical;
        }

        return null;
    }

    /// <summary>True when a folder is what it was when it was found: itself, and its files below a root.</summary>
    public bool IsSound(string folder) => Canonical(folder) == folder && IsBelow(folder) && Array.TrueForAll(Files, file => IsBelow(Canonical(Path.Combine(folder, file))));

    private bool IsBelow(string path) => Array.Exists(_roots, root => path.StartsWith(root.TrimEnd(Path.DirectorySeparatorChar) + Path.DirectorySeparatorChar, StringComparison.Ordinal));

    // Every link on the way followed. What leads in circles leads nowhere.
    private static string Canonical(string path)
    {
        var todo = new Stack<string>(path.Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries).Reverse());
        string done = Path.GetPathRoot(path)!;
        for (int links = 0; todo.TryPop(out string? part);)
        {
            if (part == ".") continue;
            if (part == "..")
            {
                done = Path.GetDirectoryName(done) ?? done;
                continue;
            }

            string next = Path.Combine(done, part);
            if (new FileInfo(next).LinkTarget is not { } target)
            {
                done = next;
                continue;
            }

            if (++links > MostLinks) return Path.GetPathRoot(path)!;
            if (Path.IsPathRooted(target)) done = Path.GetPathRoot(target)!;
            foreach (string piece in target.Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries).Reverse()) todo.Push(piece);
        }

        return done;
    }
}
