namespace GemmaCore.Cli;

/// <summary>
/// Files that README, docs and <c>-h</c> name by their place in a clone (<c>configs/demo.yaml</c>, <c>demo/data/…</c>) and that travel beside the program, so that what is
/// printed runs in any folder.
/// </summary>
internal static class ShippedFile
{
    private static readonly string[] Folders = ["configs/", "demo/", "docs/samples/table/"];

    /// <summary>What the user named where it is there; else the shipped file of that name, which is told on stderr; else the name as it was given.</summary>
    public static string Locate(string path)
    {
        string name = path.Replace('\\', '/');
        if (Path.Exists(path) || !Folders.Any(folder => name.StartsWith(folder, StringComparison.Ordinal)) || name.Contains("..", StringComparison.Ordinal)) return path;
        string shipped = Path.Combine(AppContext.BaseDirectory, name);
        if (!Path.Exists(shipped)) return path;
        Console.Error.WriteLine($"{path}: the one that came with gemmacore");
        return shipped;
    }
}
