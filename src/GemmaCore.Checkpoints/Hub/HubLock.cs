namespace GemmaCore.Checkpoints.Hub;

/// <summary>One writer at a time, across processes: an exclusively opened file (flock on Unix, as <c>huggingface_hub</c> does it).</summary>
internal static class HubLock
{
    private const int PollMs = 100;

    // EWOULDBLOCK of Linux and of macOS, sharing and lock violation of Windows.
    private static readonly int[] HeldByAnother = [11, 35, unchecked((int)0x80070020), unchecked((int)0x80070021)];

    /// <summary>Waits for the lock; it is given back by disposing it, or by the end of the process. The file stays: deleting it would race.</summary>
    public static async Task<IDisposable> TakeAsync(string path, Action waiting, CancellationToken cancellation)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        for (bool told = false; ; told = true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0);
            }
            catch (IOException error) when (HeldByAnother.Contains(error.HResult))
            {
                if (!told) waiting();
                await Task.Delay(PollMs, cancellation).ConfigureAwait(false);
            }
        }
    }
}
