using System.Text;

namespace GemmaCore.Checkpoints;

/// <summary>
/// Writes whole files or nothing: to a temporary name in the same folder, flushed to the disk, then renamed. A reader sees the old file or the new
/// one, a full disk leaves the old one.
/// </summary>
public static class AtomicFile
{
    private const string Suffix = ".tmp";

    /// <summary>Whether a file is the temporary one of a write: under way, or left behind by a process that was killed.</summary>
    public static bool IsTemporary(string path) => Path.GetFileName(path) is { } name && name.StartsWith('.') && name.EndsWith(Suffix, StringComparison.Ordinal);

    /// <summary>Writes UTF-8 text without a byte-order mark.</summary>
    public static void WriteAllText(string path, string text) => WriteAllBytes(path, Encoding.UTF8.GetBytes(text));

    /// <summary>Writes bytes.</summary>
    public static void WriteAllBytes(string path, ReadOnlyMemory<byte> bytes) => Write(path, stream => stream.Write(bytes.Span));

    /// <summary>Writes what <paramref name="write"/> puts into the stream. Missing folders are created.</summary>
    /// <exception cref="IOException">The file cannot be written (disk full, no permission, another writer); nothing is left behind.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentNullException.ThrowIfNull(write);
        string full = Path.GetFullPath(path), folder = Path.GetDirectoryName(full)!;
        // The same name every time, so that what a killed run left behind is overwritten by the next one.
        string temporary = Path.Combine(folder, $".{Path.GetFileName(full)}{Suffix}");
        try
        {
            Directory.CreateDirectory(folder);
            // Opening it fails while another writer is at work; that one's file is not ours to delete.
            var stream = new FileStream(temporary, FileMode.OpenOrCreate, FileAccess.Write, FileShare.None, 1 << 20);
            try
            {
                stream.SetLength(0);
                write(stream);
                stream.Flush(flushToDisk: true);
                stream.Dispose();
                File.Move(temporary, full, overwrite: true);
            }
            catch
            {
                Discard(stream, temporary);
                throw;
            }
        }
        catch (Exception error) when (error is UnauthorizedAccessException || IsWriteFailure(error))
        {
            throw new IOException($"{path}: could not be written: {error.Message}", error);
        }
    }

    // .NET reports a file that outgrows a file system or a user's limit (EFBIG) as an argument out of range.
    internal static bool IsWriteFailure(Exception error) => error is IOException or ArgumentOutOfRangeException { ParamName: "value" };

    private static void Discard(FileStream stream, string temporary)
    {
        try
        {
            // Closing flushes what is buffered, which fails again on a full disk.
            stream.Dispose();
        }
        catch (Exception error) when (IsWriteFailure(error))
        {
            // The first failure is the one to report.
        }

        File.Delete(temporary);
    }
}
