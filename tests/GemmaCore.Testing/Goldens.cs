namespace GemmaCore.Testing;

/// <summary>Finds golden files in the clone, and those too large to ship in the shared folder beside it.</summary>
public static class Goldens
{
    private static readonly string Root = FindRoot();

    /// <summary>A golden file or folder that the repository ships.</summary>
    public static string Path(string relative) => System.IO.Path.Combine(Root, "tests", "goldens", relative);

    /// <summary>A golden file or folder beside the clone; it may be absent (see <see cref="Exists"/>).</summary>
    public static string SharedPath(string relative) => System.IO.Path.Combine(Root, "..", "shared", "fixtures", relative);

    /// <summary>A file or folder of the embedded model and data.</summary>
    public static string DemoPath(string relative) => System.IO.Path.Combine(Root, "demo", relative);

    /// <summary>Any path inside the repository.</summary>
    public static string RepositoryPath(string relative) => System.IO.Path.Combine(Root, relative);

    /// <summary>True when a file or folder is there.</summary>
    public static bool Exists(string path) => File.Exists(path) || Directory.Exists(path);

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(System.IO.Path.Combine(folder.FullName, "GemmaCore.sln"))) return folder.FullName;
        throw new DirectoryNotFoundException("GemmaCore.sln was not found above " + AppContext.BaseDirectory);
    }
}
