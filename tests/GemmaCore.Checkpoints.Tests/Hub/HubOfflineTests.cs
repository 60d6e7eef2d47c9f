using GemmaCore.Checkpoints.Hub;
using GemmaCore.Testing;

namespace GemmaCore.Checkpoints.Tests.Hub;

public sealed class HubOfflineTests : IDisposable
{
    private readonly HubFixture _hub = new();

    public void Dispose() => _hub.Dispose();

    [Fact]
    public async Task What_the_cache_holds_is_found_without_a_request()
    {
        HubSnapshot online = await _hub.DownloadAsync();
        int calls = _hub.Hub.Calls.Count;
        HubSnapshot offline = await HubFixture.DownloadAsync(_hub.Settings(offline: true));
        Assert.Equal(calls, _hub.Hub.Calls.Count);
        Assert.Equal(online.Folder, offline.Folder);
        Assert.Equal(online.Commit, offline.Commit);
        Assert.Equal(online.Files.Order(StringComparer.Ordinal), offline.Files);
        Assert.Equal(online.TotalBytes, offline.TotalBytes);
        Assert.Equal(0, offline.ReceivedBytes);
    }

    [Fact]
    public async Task What_the_cache_lacks_is_told_without_a_request()
    {
        string complaint = await HubFixture.ComplaintAsync(_hub.Settings(offline: true));
        Assert.Contains("is not in the cache", complaint, StringComparison.Ordinal);
        Assert.Contains("HF_HUB_OFFLINE", complaint, StringComparison.Ordinal);
        Assert.Contains("HF_HUB_OFFLINE", await HubFixture.ComplaintAsync(
            _hub.Settings(offline: true), new HubRequest(LoopbackHub.Repository) { LocalFolder = _hub.File("local") }), StringComparison.Ordinal);
        Assert.Empty(_hub.Hub.Calls);
    }

    [Fact]
    public async Task A_name_whose_blob_is_gone_is_told()
    {
        await _hub.DownloadAsync();
        File.Delete(_hub.Blob("config.json"));
        Assert.Contains("config.json leads nowhere", await HubFixture.ComplaintAsync(_hub.Settings(offline: true)), StringComparison.Ordinal);
    }
}
