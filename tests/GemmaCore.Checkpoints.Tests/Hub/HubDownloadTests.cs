using GemmaCore.Checkpoints.Hub;
using GemmaCore.Testing;

namespace GemmaCore.Checkpoints.Tests.Hub;

public sealed class HubDownloadTests : IDisposable
{
    private readonly HubFixture _hub = new();

    public void Dispose() => _hub.Dispose();

    [Fact]
    public async Task A_whole_repository_lands_in_the_layout_of_the_python_tools()
    {
        var finished = new List<string>();
        HubSnapshot snapshot = await _hub.DownloadAsync(progress: moment =>
        {
            if (moment.IsFinished) finished.Add(moment.File);
        });
        _hub.AssertComplete();
        Assert.Equal(_hub.Hub.Files.Keys, finished);
        Assert.Equal(_hub.Snapshot, snapshot.Folder);
        Assert.Equal(LoopbackHub.Commit, snapshot.Commit);
        Assert.Equal(_hub.Hub.Files.Keys, snapshot.Files);
        Assert.Equal(_hub.Hub.Files.Values.Sum(bytes => bytes.Length), snapshot.TotalBytes);
        Assert.Equal(snapshot.TotalBytes, snapshot.ReceivedBytes);
        Assert.Equal($"../../blobs/{_hub.Hub.ETag(HubFixture.Weights)}", new FileInfo(Path.Combine(_hub.Snapshot, HubFixture.Weights)).LinkTarget);
        Assert.Equal($"../../../blobs/{_hub.Hub.ETag(HubFixture.Nested)}", new FileInfo(Path.Combine(_hub.Snapshot, HubFixture.Nested)).LinkTarget);
        Assert.Equal(_hub.Snapshot, new HubCache(_hub.CacheFolder).FindSnapshot(LoopbackHub.Repository));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_second_run_asks_for_no_file(bool symbolicLinks)
    {
        HubSettings settings = _hub.Settings(symbolicLinks: symbolicLinks);
        await HubFixture.DownloadAsync(settings);
        _hub.AssertComplete();
        Assert.Equal(symbolicLinks, new FileInfo(Path.Combine(_hub.Snapshot, HubFixture.Weights)).LinkTarget is not null);
        int before = _hub.Hub.FileCalls.Count();
        Assert.Equal(0, (await HubFixture.DownloadAsync(settings)).ReceivedBytes);
        Assert.Equal(before, _hub.Hub.FileCalls.Count());
    }

    [Fact]
    public async Task A_blob_that_lost_its_name_gets_it_back_without_traffic()
    {
        await _hub.DownloadAsync();
        Directory.Delete(_hub.Snapshot, recursive: true);
        Assert.Equal(0, (await _hub.DownloadAsync()).ReceivedBytes);
        _hub.AssertComplete();
    }

    [Fact]
    public async Task A_name_whose_blob_is_gone_is_downloaded_again()
    {
        await _hub.DownloadAsync();
        File.Delete(_hub.Blob(HubFixture.Weights));
        Assert.Equal(_hub.Hub.Files[HubFixture.Weights].Length, (await _hub.DownloadAsync()).ReceivedBytes);
        _hub.AssertComplete();
    }

    [Fact]
    public async Task A_local_folder_gets_plain_files_and_the_cache_nothing()
    {
        string folder = _hub.File("local");
        HubSnapshot snapshot = await _hub.DownloadAsync(new HubRequest(LoopbackHub.Repository) { LocalFolder = folder });
        Assert.Equal(folder, snapshot.Folder);
        foreach ((string file, byte[] bytes) in _hub.Hub.Files)
        {
            Assert.Equal(bytes, File.ReadAllBytes(Path.Combine(folder, file)));
            Assert.Null(new FileInfo(Path.Combine(folder, file)).LinkTarget);
        }

        Assert.DoesNotContain(HubFixture.FilesBelow(folder), file => file.EndsWith(".incomplete", StringComparison.Ordinal));
        Assert.False(Directory.Exists(_hub.CacheFolder));
    }

    [Fact]
    public async Task A_changed_file_in_a_local_folder_is_found_by_its_checksum_and_replaced()
    {
        var request = new HubRequest(LoopbackHub.Repository) { LocalFolder = _hub.File("local") };
        await _hub.DownloadAsync(request);
        Assert.Equal(0, (await _hub.DownloadAsync(request)).ReceivedBytes);
        string weights = Path.Combine(_hub.File("local"), HubFixture.Weights);
        using (FileStream file = File.OpenWrite(weights)) file.WriteByte((byte)~_hub.Hub.Files[HubFixture.Weights][0]);
        await _hub.DownloadAsync(request);
        Assert.Equal(_hub.Hub.Files[HubFixture.Weights], File.ReadAllBytes(weights));
    }

    [Theory]
    [InlineData("*.json", "", "config.json")]
    [InlineData("", "*.safetensors original/", "config.json empty.txt")]
    [InlineData("*.txt config.?son", "empty*", "config.json original/consolidated notes #1.txt")]
    public async Task Patterns_choose_the_files(string include, string exclude, string expected)
    {
        HubSnapshot snapshot = await _hub.DownloadAsync(new HubRequest(LoopbackHub.Repository) { Include = Words(include), Exclude = Words(exclude) });
        Assert.Equal(expected, string.Join(' ', snapshot.Files));
        Assert.Equal(snapshot.Files, HubFixture.FilesBelow(_hub.Snapshot));
    }

    [Fact]
    public async Task Patterns_that_choose_nothing_are_told_with_what_there_is()
    {
        string complaint = await _hub.ComplaintAsync(new HubRequest(LoopbackHub.Repository) { Include = ["*.gguf"] });
        Assert.Contains("*.gguf", complaint, StringComparison.Ordinal);
        Assert.Contains(HubFixture.Weights, complaint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_commit_can_be_named_and_leaves_no_reference()
    {
        await _hub.DownloadAsync(new HubRequest(LoopbackHub.Repository) { Revision = LoopbackHub.Commit });
        Assert.False(Directory.Exists(Path.Combine(_hub.RepositoryFolder, "refs")));
        Assert.Equal(_hub.Snapshot, new HubCache(_hub.CacheFolder).FindSnapshot(LoopbackHub.Repository, LoopbackHub.Commit));
    }

    [Fact]
    public async Task The_reference_comes_last_so_an_interrupted_update_leaves_the_old_snapshot_in_use()
    {
        string old = new('a', 40), oldSnapshot = Path.Combine(_hub.RepositoryFolder, "snapshots", old);
        Directory.CreateDirectory(oldSnapshot);
        AtomicFile.WriteAllText(Path.Combine(_hub.RepositoryFolder, "refs", "main"), old);
        _hub.Hub.Intercept = call => call.Path.EndsWith(HubFixture.Weights, StringComparison.Ordinal) ? HubReply.Empty(403) : null;
        await _hub.ComplaintAsync();
        Assert.Equal(oldSnapshot, new HubCache(_hub.CacheFolder).FindSnapshot(LoopbackHub.Repository));
        _hub.Hub.Intercept = _ => null;
        await _hub.DownloadAsync();
        _hub.AssertComplete();
    }

    [Fact]
    public async Task Several_downloads_at_once_share_the_work()
    {
        var gate = new TaskCompletionSource();
        _hub.Hub.Intercept = call => call.Path.EndsWith(HubFixture.Weights, StringComparison.Ordinal)
            ? new HubReply(200, _hub.Hub.Files[HubFixture.Weights]) { SilentBefore = gate.Task }
            : null;
        int waiting = 0;
        Task<HubSnapshot>[] downloads = [.. Enumerable.Range(0, 3).Select(_ => _hub.DownloadAsync(progress: moment =>
        {
            // The two that do not hold the lock of the weights say so; only then may the weights come.
            if (moment.File == HubFixture.Weights && moment.Note is not null && Interlocked.Increment(ref waiting) == 2) gate.SetResult();
        }))];
        HubSnapshot[] snapshots = await Task.WhenAll(downloads);
        _hub.AssertComplete();
        Assert.Single(_hub.Hub.FileCalls, HubFixture.Weights);
        Assert.Equal(snapshots[0].TotalBytes, snapshots.Sum(snapshot => snapshot.ReceivedBytes));
    }

    private static string[] Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
