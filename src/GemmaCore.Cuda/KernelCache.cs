using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace GemmaCore.Cuda;

/// <summary>
/// Compiled kernels on disk, one file per text × options × compiler. Written to a temporary name and renamed, so two processes may fill it at once; an
/// entry that is damaged, or another kernel's under this name, is compiled again; a folder that cannot be written only costs the next start its compile time.
/// </summary>
public sealed class KernelCache
{
    /// <summary>Grows when the way kernels are called changes.</summary>
    private const int EntryVersion = 1;

    private const int HeaderBytes = 8 + 32;

    private static ReadOnlySpan<byte> Magic => "GCKERNL2"u8;

    private readonly Action<string>? _warn;

    /// <summary>A cache in <paramref name="folder"/>, which need not exist; null keeps nothing.</summary>
    /// <param name="folder">Where entries lie.</param>
    /// <param name="warn">Hears <see cref="WriteProblem"/> when it arises.</param>
    public KernelCache(string? folder, Action<string>? warn = null) => (Folder, _warn) = (folder, warn);

    /// <summary>Where entries lie; null when nothing is kept.</summary>
    public string? Folder { get; }

    /// <summary>Why an entry could not be written, once; null as long as all could be.</summary>
    public string? WriteProblem { get; private set; }

    /// <summary>The user's own: <c>GEMMACORE_KERNEL_CACHE</c>, else the system's cache folder.</summary>
    public static KernelCache Default(Action<string>? warn = null)
    {
        if (Environment.GetEnvironmentVariable("GEMMACORE_KERNEL_CACHE") is { Length: > 0 } chosen) return new KernelCache(chosen, warn);
        string? root = OperatingSystem.IsWindows()
            ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
            : Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } xdg
                ? xdg
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        return new KernelCache(root.Length == 0 ? null : Path.Combine(root, "gemmacore", "kernels"), warn);
    }

    /// <summary>Why nothing can be stored here; null when something can. Leaves nothing behind.</summary>
    public string? TryWrite()
    {
        if (Folder is null) return "there is no home folder";
        string existing = Path.GetFullPath(Folder);
        while (!Directory.Exists(existing) && Path.GetDirectoryName(existing) is { } parent) existing = parent;
        if (FileInTheWay() is { } obstacle) return obstacle;
        string probe = Path.Combine(existing, $"{Guid.NewGuid():N}.tmp");
        try
        {
            using (Stream file = Create(probe)) file.Write(Magic);
            return null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return $"{existing}: {error.Message}";
        }
        finally
        {
            TryDelete(probe);
        }
    }

    /// <summary>Opens a new file; a test has it fail as on a full disk.</summary>
    internal Func<string, Stream> Create { get; init; } = File.Create;

    /// <summary>The key of kernels.md §3.4: everything that decides the compiler's output.</summary>
    internal static string Key(KernelText text, IEnumerable<string> options, Nvrtc compiler)
    {
        var parts = new StringBuilder();
        parts.Append(CultureInfo.InvariantCulture, $"{EntryVersion}\n{compiler.Version}\n{Identity(compiler.FoundAt)}\n");
        foreach (string option in options) parts.Append(option).Append('\n');
        parts.Append(text);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(parts.ToString())));
    }

    /// <summary>The image stored under a key; null when there is none or it is damaged.</summary>
    internal byte[]? Find(string key)
    {
        if (Folder is null) return null;
        try
        {
            byte[] file = File.ReadAllBytes(PathOf(key));
            return file.Length > HeaderBytes && file.AsSpan(0, 8).SequenceEqual(Magic)
                && Checksum(key, file.AsSpan(HeaderBytes)).AsSpan().SequenceEqual(file.AsSpan(8, 32))
                ? file[HeaderBytes..]
                : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null; // absent, or not ours to read: compile
        }
    }

    /// <summary>Stores an image; what cannot be stored is only noted.</summary>
    internal void Store(string key, byte[] image)
    {
        if (Folder is null || WriteProblem is not null) return;
        string path = PathOf(key), temporary = $"{path}.{Environment.ProcessId}.{Guid.NewGuid():N}.tmp";
        try
        {
            if (FileInTheWay() is { } obstacle) throw new IOException(obstacle);
            Directory.CreateDirectory(Folder);
            using (Stream file = Create(temporary))
            {
                file.Write(Magic);
                file.Write(Checksum(key, image));
                file.Write(image);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            TryDelete(temporary);
            WriteProblem = $"kernel cache {Folder}: {error.Message}; kernels are compiled anew at every start (set GEMMACORE_KERNEL_CACHE to a folder that can be written)";
            _warn?.Invoke(WriteProblem);
        }
    }

    // The system's own words for it are that the file already exists.
    private string? FileInTheWay()
    {
        for (string? part = Path.GetFullPath(Folder!); part is not null && !Directory.Exists(part); part = Path.GetDirectoryName(part))
            if (File.Exists(part)) return $"{part} is a file where a folder should be";
        return null;
    }

    // Of the key as well: the name of a file is no part of it.
    private static byte[] Checksum(string key, ReadOnlySpan<byte> image)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes(key));
        hash.AppendData(image);
        return hash.GetHashAndReset();
    }

    private string PathOf(string key) => Path.Combine(Folder!, key + ".bin");

    // A library that was replaced in place keeps its path and version.
    private static string Identity(string library)
    {
        var file = new FileInfo(library);
        return file.Exists ? $"{file.Length} {file.LastWriteTimeUtc.Ticks}" : library;
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Nothing was made there, or the disk is gone; the note is already written.
        }
    }
}
