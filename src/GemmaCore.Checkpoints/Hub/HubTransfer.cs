using System.Net;

namespace GemmaCore.Checkpoints.Hub;

/// <summary>
/// Brings one file into its <c>.incomplete</c> file: goes on behind what an earlier run left there, checks size and checksum, leaves it flushed to the
/// disk and ready to be renamed. Whoever calls holds the file's lock.
/// </summary>
internal sealed class HubTransfer(HubConnection connection, HubRetry retry, string repository, string commit, HubFile file)
{
    private readonly byte[] _block = new byte[1 << 18];

    /// <summary>Bytes that came over the network, those thrown away included.</summary>
    public long ReceivedBytes { get; private set; }

    /// <param name="incomplete">The file to fill.</param>
    /// <param name="report">Called with the bytes in the file, and with the reason whenever they are thrown away.</param>
    /// <param name="cancellation">Stops it; what has come stays.</param>
    public async Task FillAsync(string incomplete, Action<long, string?> report, CancellationToken cancellation)
    {
        using var checksum = new HubChecksum(file);
        string? actual;
        // Unbuffered: a full disk is then told by the write that hits it, not by closing.
        using (var part = new FileStream(incomplete, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0))
        {
            if (part.Length > file.Size) part.SetLength(0);
            bool resumed = part.Length > 0;
            await checksum.AppendAsync(part, cancellation).ConfigureAwait(false);
            await ReceiveAllAsync(part, checksum, report, cancellation).ConfigureAwait(false);
            if (checksum.Mismatch() is not null && resumed)
            {
                StartOver(part, checksum);
                report(0, "what an earlier run left does not fit the checksum; starting over");
                await ReceiveAllAsync(part, checksum, report, cancellation).ConfigureAwait(false);
            }

            actual = checksum.Mismatch();
            if (actual is null) part.Flush(flushToDisk: true);
        }

        if (actual is null) return;
        File.Delete(incomplete);
        throw new CheckpointException($"{repository}: {file.Name} has checksum {actual}, expected {file.ETag}; it was thrown away, download it again");
    }

    private async Task ReceiveAllAsync(FileStream part, HubChecksum checksum, Action<long, string?> report, CancellationToken cancellation)
    {
        long furthest = part.Position;
        report(part.Position, null);
        while (part.Position < file.Size)
        {
            try
            {
                await ReceiveAsync(part, checksum, report, cancellation).ConfigureAwait(false);
            }
            catch (HubInterruption interruption)
            {
                // A server that always breaks at the same byte gains nothing, however often it starts.
                if (part.Position > furthest) retry.Reset();
                furthest = Math.Max(furthest, part.Position);
                await retry.WaitAsync(interruption, cancellation).ConfigureAwait(false);
            }
        }

        retry.Reset();
    }

    private async Task ReceiveAsync(FileStream part, HubChecksum checksum, Action<long, string?> report, CancellationToken cancellation)
    {
        using HttpResponseMessage response = await connection.OpenAsync(repository, commit, file, part.Position, cancellation).ConfigureAwait(false);
        if (part.Position > 0 && !ContinuesAt(response, part.Position))
        {
            bool whole = response.StatusCode == HttpStatusCode.OK;
            StartOver(part, checksum);
            if (!whole) throw new HubInterruption($"{file.Name}: the server cannot go on where the file stopped ({(int)response.StatusCode}); starting over");
            report(0, "the server sends only whole files; starting over");
        }

        long end = part.Position + (response.Content.Headers.ContentLength ?? file.Size - part.Position);
        if (end != file.Size) throw WrongSize(end);
        await using Stream body = await response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false);
        while (true)
        {
            int count = await connection.ReadAsync(body, _block, cancellation).ConfigureAwait(false);
            if (count == 0) break;
            if (part.Position + count > file.Size) throw WrongSize(part.Position + count);
            Write(part, _block.AsSpan(0, count));
            checksum.Append(_block.AsSpan(0, count));
            ReceivedBytes += count;
            report(part.Position, null);
        }

        if (part.Position < file.Size) throw new HubInterruption($"{file.Name}: the connection ended at byte {part.Position} of {file.Size}");
    }

    private static bool ContinuesAt(HttpResponseMessage response, long position) =>
        response.StatusCode == HttpStatusCode.PartialContent && response.Content.Headers.ContentRange?.From == position;

    private static void StartOver(FileStream part, HubChecksum checksum)
    {
        part.SetLength(0);
        checksum.Restart();
    }

    private CheckpointException WrongSize(long size) =>
        new($"{repository}: the hub lists {file.Name} with {file.Size} bytes but sends {size} or more; try again later, or pin another --revision");

    private static void Write(FileStream part, ReadOnlySpan<byte> bytes)
    {
        try
        {
            part.Write(bytes);
        }
        catch (Exception error) when (AtomicFile.IsWriteFailure(error))
        {
            throw new IOException($"{part.Name}: could not be written: {error.Message}; make room and run the same command again, it goes on from there", error);
        }
    }
}
