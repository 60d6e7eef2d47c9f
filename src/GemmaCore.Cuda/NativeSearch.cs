using System.Diagnostics;
using System.Runtime.InteropServices;

namespace GemmaCore.Cuda;

/// <summary>
/// Finds a native library in a documented order and remembers where it looked, so that "not found" can say so: the environment variable, the
/// program's folder, the loader's own search by each known name, then the places where pip, conda and the toolkit install it.
/// </summary>
internal sealed class NativeSearch
{
    /// <summary>Explicit path of the driver; used instead of any search.</summary>
    public const string DriverVariable = "GEMMACORE_CUDA_LIBRARY";

    /// <summary>Explicit path of NVRTC; used instead of any search.</summary>
    public const string NvrtcVariable = "GEMMACORE_NVRTC_LIBRARY";

    private readonly List<string> _tried = [];

    private NativeSearch(nint handle, string foundAt, List<string> tried, string? refused = null) => (Handle, FoundAt, _tried, Refused) = (handle, foundAt, tried, refused);

    /// <summary>The loaded library, or 0.</summary>
    public nint Handle { get; }

    /// <summary>The file that was loaded, or its name where the system does not say; empty when it was not.</summary>
    public string FoundAt { get; }

    /// <summary>The file that the environment variable names, where it is there but the system does not load it, as <c>VARIABLE=FILE</c>; null otherwise.</summary>
    public string? Refused { get; }

    /// <summary>Names and folders tried, in order.</summary>
    public IReadOnlyList<string> Tried => _tried;

    /// <summary>The search in a few words, for a message.</summary>
    public string Searched => _tried.Count == 1 ? $"looked for {_tried[0]}" : $"looked in {_tried.Count} places, which gemmacore doctor lists";

    /// <summary>The driver library, which the GPU's driver installs.</summary>
    public static NativeSearch Driver() => Find(DriverVariable, OperatingSystem.IsWindows() ? ["nvcuda.dll"] : ["libcuda.so.1", "libcuda.so"], WslFolder());

    /// <summary>NVRTC, newest major version first, but those that are newer than the driver last: it may refuse what they make.</summary>
    /// <param name="driverMajor">Major version of CUDA that the driver supports; 0 where there is none.</param>
    public static NativeSearch Nvrtc(int driverMajor) => Find(NvrtcVariable, NvrtcNames(driverMajor, OperatingSystem.IsWindows()), NvrtcFolders.Here().All());

    internal static string[] NvrtcNames(int driverMajor, bool windows)
    {
        (int Major, string Name)[] names = windows
            ? [(13, "nvrtc64_130_0.dll"), (12, "nvrtc64_120_0.dll"), (11, "nvrtc64_112_0.dll")]
            : [(13, "libnvrtc.so.13"), (12, "libnvrtc.so.12"), (11, "libnvrtc.so.11.2"), (0, "libnvrtc.so")];
        return [.. names.OrderBy(name => driverMajor > 0 && name.Major > driverMajor).Select(name => name.Name)];
    }

    /// <summary>The file of a loaded library. Asked for by name alone, the loader does not say which one it took, and a user who has several wants to know.</summary>
    internal static string FileOf(string library)
    {
        if (library != Path.GetFileName(library)) return library;
        // libcuda.so.1 is a link to libcuda.so.550.54.
        int extension = library.IndexOf(".so", StringComparison.Ordinal);
        string stem = extension < 0 ? library : library[..(extension + 3)];
        using var process = Process.GetCurrentProcess();
        return process.Modules.Cast<ProcessModule>().Select(module => module.FileName)
            .FirstOrDefault(file => Path.GetFileName(file) is { } name && (name.Equals(stem, StringComparison.OrdinalIgnoreCase) || name.StartsWith(stem + ".", StringComparison.OrdinalIgnoreCase))) ?? library;
    }

    private static NativeSearch Find(string variable, string[] names, IEnumerable<string> folders)
    {
        var tried = new List<string>();
        if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } chosen)
        {
            tried.Add($"{variable}={chosen}");
            return NativeLibrary.TryLoad(chosen, out nint handle)
                ? new NativeSearch(handle, FileOf(chosen), tried)
                : new NativeSearch(0, "", tried, File.Exists(chosen) ? tried[0] : null);
        }

        foreach (string candidate in Candidates(names, folders, tried))
            if (NativeLibrary.TryLoad(candidate, out nint handle)) return new NativeSearch(handle, FileOf(candidate), tried);
        return new NativeSearch(0, "", tried);
    }

    // Of a folder only what lies there is tried; that it was looked into is noted in any case.
    private static IEnumerable<string> Candidates(string[] names, IEnumerable<string> folders, List<string> tried)
    {
        foreach (string candidate in Within(AppContext.BaseDirectory)) yield return candidate;
        foreach (string name in names)
        {
            tried.Add(name);
            yield return name;
        }

        foreach (string folder in folders)
            foreach (string candidate in Within(folder)) yield return candidate;

        IEnumerable<string> Within(string folder)
        {
            tried.Add(folder);
            return names.Select(name => Path.Combine(folder, name)).Where(File.Exists);
        }
    }

    private static string[] WslFolder() => OperatingSystem.IsWindows() ? [] : ["/usr/lib/wsl/lib"];
}
