namespace GemmaCore.Cuda;

/// <summary>Where installers put NVRTC without telling the system's loader: pip's packages, conda, the CUDA toolkit, in this order (kernels.md §3.2).</summary>
/// <param name="IsWindows">Which layout they have.</param>
/// <param name="Variable">Reads an environment variable.</param>
/// <param name="Home">The user's folder.</param>
internal sealed record NvrtcFolders(bool IsWindows, Func<string, string?> Variable, string Home)
{
    /// <summary>Those of this machine.</summary>
    public static NvrtcFolders Here() =>
        new(OperatingSystem.IsWindows(), Environment.GetEnvironmentVariable, Environment.GetFolderPath(Environment.SpecialFolder.UserProfile));

    /// <summary>Folders to look into; those of Python only where there is one.</summary>
    public IEnumerable<string> All()
    {
        // From CUDA 13 on all of pip's packages share a folder.
        string[] packages = IsWindows
            ? [Path.Combine("nvidia", "cu13", "bin", "x86_64"), Path.Combine("nvidia", "cuda_nvrtc", "bin")]
            : [Path.Combine("nvidia", "cu13", "lib"), Path.Combine("nvidia", "cuda_nvrtc", "lib")];
        foreach (string python in IsWindows ? PythonOnWindows() : PythonOnUnix())
            foreach (string package in packages) yield return Path.Combine(python, package);
        if (Set("CONDA_PREFIX") is { } conda) yield return IsWindows ? Path.Combine(conda, "Library", "bin") : Path.Combine(conda, "lib");
        if (Set("CUDA_PATH") is { } toolkit)
        {
            yield return Path.Combine(toolkit, IsWindows ? "bin" : "lib64");
            if (IsWindows) yield return Path.Combine(toolkit, "bin", "x64");
        }

        if (!IsWindows) yield return "/usr/local/cuda/lib64";
    }

    private IEnumerable<string> PythonOnUnix()
    {
        foreach (string? prefix in (string?[])[Set("VIRTUAL_ENV"), Set("CONDA_PREFIX"), Path.Combine(Home, ".local"), "/usr/local", "/usr"])
        {
            if (prefix is null) continue;
            foreach (string python in Within(Path.Combine(prefix, "lib"), "python3*"))
            {
                yield return Path.Combine(python, "site-packages");
                yield return Path.Combine(python, "dist-packages");
            }
        }
    }

    // An environment of its own; what python.org's installer makes for one user; what pip --user makes.
    private IEnumerable<string> PythonOnWindows()
    {
        foreach (string? prefix in (string?[])[Set("VIRTUAL_ENV"), Set("CONDA_PREFIX")])
            if (prefix is not null) yield return Path.Combine(prefix, "Lib", "site-packages");
        if (Set("LOCALAPPDATA") is { } local)
            foreach (string python in Within(Path.Combine(local, "Programs", "Python"), "Python3*")) yield return Path.Combine(python, "Lib", "site-packages");
        if (Set("APPDATA") is { } roaming)
            foreach (string python in Within(Path.Combine(roaming, "Python"), "Python3*")) yield return Path.Combine(python, "site-packages");
    }

    private string? Set(string name) => Variable(name) is { Length: > 0 } value ? value : null;

    private static IEnumerable<string> Within(string folder, string pattern) => Directory.Exists(folder) ? Directory.EnumerateDirectories(folder, pattern) : [];
}
