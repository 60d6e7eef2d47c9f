using System.Globalization;

namespace GemmaCore.Checkpoints.Hub;

/// <summary>
/// Downloads repositories of the Hugging Face hub into the standard cache or a folder. A file appears under its name only when it is complete and its
/// size and checksum fit; what an interrupted run left is gone on with. One download at a time per client; several processes may share a cache.
/// </summary>
public sealed class HubClient : IDisposable
{
    private readonly HubSettings _settings;
    private readonly HubConnection _connection;

    /// <summary>A client; nothing is sent before it is asked for something.</summary>
    public HubClient(HubSettings settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        _settings = settings;
        _connection = new HubConnection(settings);
    }

    /// <summary>Downloads what is missing; offline, says where it is.</summary>
    /// <exception cref="CheckpointException">The hub refuses, cannot be reached, or sends something else than it promised.</exception>
    /// <exception cref="IOException">The disk is too small or cannot be written.</exception>
    public async Task<HubSnapshot> DownloadAsync(HubRequest request, Action<HubProgress>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        HubName.CheckRepository(request.Repository);
        HubName.CheckRevision(request.Revision);
        if (_settings.Offline) return FindOffline(request);
        progress ??= _ => { };
        var retry = new HubRetry(_settings, note => progress(new HubProgress("", 0, 0, 0, 0, note)));
        HubListing listing = await _connection.ListAsync(request.Repository, request.Revision, retry, cancellation).ConfigureAwait(false);
        List<HubFile> files = [.. listing.Files.Where(file => request.Wants(file.Name))];
        if (files.Count == 0) throw NothingChosen(request, listing.Files.Select(file => file.Name));

        HubDestination destination = request.LocalFolder is { } folder
            ? new FolderDestination(Path.GetFullPath(folder))
            : new CacheDestination(new HubCache(_settings.CacheFolder), request.Repository, request.Revision, listing.Commit, _settings.SymbolicLinks);
        CheckFreeSpace(destination, files);
        long received = 0;
        for (int i = 0; i < files.Count; i++)
        {
            HubFile file = files[i];
            int index = i;
            void Report(long bytes, string? note) => progress(new HubProgress(file.Name, index, files.Count, bytes, file.Size, note));
            received += await FetchAsync(request.Repository, listing.Commit, file, destination, Report, cancellation).ConfigureAwait(false);
            progress(new HubProgress(file.Name, i, files.Count, file.Size, file.Size, IsFinished: true));
        }

        await destination.FinishAsync(() => { }, cancellation).ConfigureAwait(false);
        return new HubSnapshot(destination.Folder, listing.Commit, [.. files.Select(file => file.Name)], files.Sum(file => file.Size), received);
    }

    /// <summary>Closes its connections.</summary>
    public void Dispose() => _connection.Dispose();

    private async Task<long> FetchAsync(
        string repository, string commit, HubFile file, HubDestination destination, Action<long, string?> report, CancellationToken cancellation)
    {
        string incomplete = destination.IncompletePath(file);
        Directory.CreateDirectory(Path.GetDirectoryName(incomplete)!);
        using IDisposable held = await HubLock.TakeAsync(
            destination.LockPath(file), () => report(0, "another process is downloading this file; waiting for it"), cancellation).ConfigureAwait(false);
        if (await destination.HasAsync(file, cancellation).ConfigureAwait(false)) return 0;
        var retry = new HubRetry(_settings, note => report(HubDestination.SizeOf(incomplete) ?? 0, note));
        var transfer = new HubTransfer(_connection, retry, repository, commit, file);
        await transfer.FillAsync(incomplete, report, cancellation).ConfigureAwait(false);
        destination.Publish(file);
        return transfer.ReceivedBytes;
    }

    private HubSnapshot FindOffline(HubRequest request)
    {
        const string remedy = "unset HF_HUB_OFFLINE to download it";
        if (request.LocalFolder is not null) throw new CheckpointException($"{request.Repository}: a folder is filled from the network only; {remedy}");
        string snapshot = new HubCache(_settings.CacheFolder).FindSnapshot(request.Repository, request.Revision)
            ?? throw new CheckpointException($"{request.Repository} at revision '{request.Revision}' is not in the cache {_settings.CacheFolder}; {remedy}");
        string[] all = [.. Directory.EnumerateFiles(snapshot, "*", SearchOption.AllDirectories)
            .Select(path => Path.GetRelativePath(snapshot, path).Replace(Path.DirectorySeparatorChar, '/')).Order(StringComparer.Ordinal)];
        string[] files = [.. all.Where(request.Wants)];
        if (files.Length == 0) throw NothingChosen(request, all);
        long bytes = files.Sum(file => HubDestination.SizeOf(Path.Combine(snapshot, file))
            ?? throw new CheckpointException($"{Path.Combine(snapshot, file)} leads nowhere: the cache is damaged; {remedy} again"));
        return new HubSnapshot(snapshot, Path.GetFileName(snapshot), files, bytes, 0);
    }

    private static CheckpointException NothingChosen(HubRequest request, IEnumerable<string> files)
    {
        string[] some = [.. files.Take(5)];
        return new CheckpointException($"{request.Repository}: no file is chosen by --include {string.Join(' ', request.Include)} --exclude "
            + $"{string.Join(' ', request.Exclude)}; it has {(some.Length == 0 ? "no files at all" : string.Join(", ", some) + ", …")}");
    }

    private static void CheckFreeSpace(HubDestination destination, List<HubFile> files)
    {
        // In floating point: the sizes are the server's word, their sum must not wrap around.
        double needed = files.DistinctBy(file => file.ETag).Sum(file => (double)destination.MissingBytes(file));
        string folder = destination.Folder;
        while (!Directory.Exists(folder)) folder = Path.GetDirectoryName(folder)!;
        long free = new DriveInfo(folder).AvailableFreeSpace;
        if (needed > free)
            throw new IOException(string.Create(CultureInfo.InvariantCulture,
                $"{destination.Folder}: {needed / 1e9:0.0} GB are to come but only {free / 1e9:0.0} GB are free; make room, or choose another disk with --local-dir or HF_HOME"));
    }
}
