namespace GemmaCore.Checkpoints.Hub;

/// <summary>Where a download's files go: <see cref="CacheDestination"/> or <see cref="FolderDestination"/>.</summary>
internal abstract class HubDestination
{
    /// <summary>The folder with the files under their own names.</summary>
    public abstract string Folder { get; }

    /// <summary>Where the bytes gather until they are complete. On the same file system as <see cref="Folder"/>.</summary>
    public abstract string IncompletePath(HubFile file);

    /// <summary>The lock to hold while a file is looked for, filled and published.</summary>
    public abstract string LockPath(HubFile file);

    /// <summary>True when a file of the right size is there: a quick look, for the plan.</summary>
    public abstract bool SeemsThere(HubFile file);

    /// <summary>True when the file is there and is the right one; makes it appear if only its name is missing.</summary>
    public abstract Task<bool> HasAsync(HubFile file, CancellationToken cancellation);

    /// <summary>Makes a complete <see cref="IncompletePath"/> appear under its name.</summary>
    public abstract void Publish(HubFile file);

    /// <summary>Everything is there.</summary>
    public abstract Task FinishAsync(Action waiting, CancellationToken cancellation);

    /// <summary>Bytes that still have to come.</summary>
    public long MissingBytes(HubFile file) => SeemsThere(file) ? 0 : file.Size - Math.Min(file.Size, SizeOf(IncompletePath(file)) ?? 0);

    /// <summary>Size of a file, or of the one a link leads to; null when there is none.</summary>
    public static long? SizeOf(string path)
    {
        var file = new FileInfo(path);
        if (file.LinkTarget is not null) file = (FileInfo)file.ResolveLinkTarget(returnFinalTarget: true)!;
        return file.Exists ? file.Length : null; // one look: another process may rename it in between
    }
}

/// <summary>The hub cache. Blobs get their name only when complete and checked, so a blob of the right size is the right one.</summary>
internal sealed class CacheDestination(HubCache cache, string repository, string revision, string commit, bool symbolicLinks) : HubDestination
{
    private readonly string _repositoryFolder = cache.RepositoryFolder(repository);

    public override string Folder => Path.Combine(_repositoryFolder, "snapshots", commit);

    public override string IncompletePath(HubFile file) => BlobPath(file) + ".incomplete";

    public override string LockPath(HubFile file) => cache.LockPath(repository, file.ETag);

    public override bool SeemsThere(HubFile file) => SizeOf(SnapshotPath(file)) == file.Size || SizeOf(BlobPath(file)) == file.Size;

    public override Task<bool> HasAsync(HubFile file, CancellationToken cancellation)
    {
        if (SizeOf(SnapshotPath(file)) == file.Size) return Task.FromResult(true);
        if (SizeOf(BlobPath(file)) != file.Size) return Task.FromResult(false);
        Link(file);
        return Task.FromResult(true);
    }

    public override void Publish(HubFile file)
    {
        File.Move(IncompletePath(file), BlobPath(file), overwrite: true);
        Link(file);
    }

    // Recorded at the end, so that the name never leads to a snapshot of which files are still missing.
    public override async Task FinishAsync(Action waiting, CancellationToken cancellation)
    {
        if (revision == commit) return;
        using IDisposable held = await HubLock.TakeAsync(cache.LockPath(repository, "refs"), waiting, cancellation).ConfigureAwait(false);
        AtomicFile.WriteAllText(Path.Combine(_repositoryFolder, "refs", revision), commit);
    }

    private string BlobPath(HubFile file) => Path.Combine(_repositoryFolder, "blobs", file.ETag);

    private string SnapshotPath(HubFile file) => Path.Combine(Folder, file.Name);

    private void Link(HubFile file)
    {
        string path = SnapshotPath(file), folder = Path.GetDirectoryName(path)!, blob = BlobPath(file);
        Directory.CreateDirectory(folder);
        File.Delete(path); // a dangling link of an earlier, broken download
        if (symbolicLinks)
        {
            try
            {
                File.CreateSymbolicLink(path, Path.GetRelativePath(folder, blob));
                return;
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException or PlatformNotSupportedException)
            {
                // Windows without developer mode, FAT and some network folders: the file itself is as good, only not shared.
            }
        }

        File.Move(blob, path);
    }
}

/// <summary>A folder of plain files. Those that are there already were not written by us alone, so they are read and checked.</summary>
internal sealed class FolderDestination(string folder) : HubDestination
{
    // Where huggingface_hub keeps its notes about such a folder.
    private readonly string _working = Path.Combine(folder, ".cache", "huggingface", "download");

    public override string Folder => folder;

    public override string IncompletePath(HubFile file) => Path.Combine(_working, file.ETag + ".incomplete");

    public override string LockPath(HubFile file) => Path.Combine(_working, file.ETag + ".lock");

    public override bool SeemsThere(HubFile file) => SizeOf(Path.Combine(folder, file.Name)) == file.Size;

    public override async Task<bool> HasAsync(HubFile file, CancellationToken cancellation)
    {
        if (!SeemsThere(file)) return false;
        using var checksum = new HubChecksum(file);
        using FileStream content = File.OpenRead(Path.Combine(folder, file.Name));
        await checksum.AppendAsync(content, cancellation).ConfigureAwait(false);
        return checksum.Mismatch() is null;
    }

    public override void Publish(HubFile file)
    {
        string path = Path.Combine(folder, file.Name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.Move(IncompletePath(file), path, overwrite: true);
    }

    public override Task FinishAsync(Action waiting, CancellationToken cancellation) => Task.CompletedTask;
}
