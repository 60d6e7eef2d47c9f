namespace GemmaCore.Training.Datasets;

/// <summary>
/// Finds the pictures of one question file: as a path of its own, beside the file, below the root, or by base name anywhere below the folders it knows, if need be in
/// another case. The folders are listed once for the file, not once for a row.
/// </summary>
/// <param name="folder">Folder of the question file.</param>
/// <param name="root">Root of the data; null where only the file is known.</param>
/// <param name="unpacked">Folder of pictures that were unpacked elsewhere; null for none.</param>
public sealed class FlareImages(string folder, string? root = null, string? unpacked = null)
{
    private readonly Lazy<Dictionary<string, string>> _byName = new(() => Index([folder, unpacked]));
    private ILookup<string, string>? _inAnyCase;

    /// <summary>The path of a picture; null where there is none.</summary>
    /// <param name="name">Name as a row spells it, with either kind of slash.</param>
    public string? Find(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name.Contains('\0', StringComparison.Ordinal)) return null;
        foreach (string? place in (string?[])[folder, unpacked, root])
            if (place is not null && Path.GetFullPath(Path.Combine(place, name)) is var direct && File.Exists(direct)) return direct;
        string file = name[(name.LastIndexOfAny(['/', '\\']) + 1)..];
        // Folders that were made where case does not count: taken where only one file can be meant.
        return _byName.Value.GetValueOrDefault(file) ?? (InAnyCase[file].ToArray() is [var only] ? only : null);
    }

    private ILookup<string, string> InAnyCase => _inAnyCase ??= _byName.Value.ToLookup(entry => entry.Key, entry => entry.Value, StringComparer.OrdinalIgnoreCase);

    // Of several with one name the first by path counts.
    private static Dictionary<string, string> Index(IEnumerable<string?> folders)
    {
        var index = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string? place in folders.Where(Directory.Exists))
            foreach (string path in Directory.EnumerateFiles(place!, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
                index.TryAdd(Path.GetFileName(path), Path.GetFullPath(path));
        return index;
    }
}
