using GemmaCore.Checkpoints;

namespace GemmaCore.Cli;

/// <summary>A folder that a command fills: whole at the end, or as it was before.</summary>
internal static class NewFolder
{
    private static volatile Unfinished? s_unfinished;

    private sealed record Unfinished(string Path, bool Existed);

    /// <summary>Lets <paramref name="write"/> fill the folder; when that fails or is cancelled, everything in it goes again.</summary>
    /// <exception cref="UsageException">It holds something already.</exception>
    public static void Fill(string path, Action write)
    {
        if (path.Length == 0) throw new UsageException("--out: expected a folder");
        if (File.Exists(path)) throw new UsageException($"--out {path}: this is a file; a folder is written");
        bool existed = Directory.Exists(path);
        // What a killed command was writing is written over.
        if (existed && !Directory.EnumerateFileSystemEntries(path).All(AtomicFile.IsTemporary))
            throw new UsageException($"--out {path}: the folder is not empty; choose another, or delete it if a command was killed there");
        s_unfinished = new Unfinished(path, existed);
        try
        {
            write();
        }
        catch
        {
            Abandon();
            throw;
        }

        s_unfinished = null;
    }

    /// <summary>Takes away what has been written so far: the process is about to end in the middle.</summary>
    public static void Abandon()
    {
        if (s_unfinished is not { } unfinished) return;
        s_unfinished = null;
        Clear(unfinished.Path, unfinished.Existed);
    }

    /// <summary>Asked before each tensor: Ctrl-C stops there.</summary>
    public static void Continue(WritableTensor tensor) => Edge.Interrupted.ThrowIfCancellationRequested();

    private static void Clear(string path, bool keep)
    {
        if (!Directory.Exists(path)) return;
        try
        {
            foreach (string file in Directory.EnumerateFiles(path)) File.Delete(file);
            if (!keep) Directory.Delete(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // What made the command fail is the thing to tell.
        }
    }
}
