using System.Text;
using GemmaCore.Checkpoints.Hub;
using GemmaCore.Testing;

namespace GemmaCore.Checkpoints.Tests.Hub;

/// <summary>A hub with a small repository, and an empty cache to download it into.</summary>
internal sealed class HubFixture : IDisposable
{
    public const string Weights = "model.safetensors", Nested = "original/consolidated notes #1.txt";

    private readonly TemporaryFolder _folder = new();

    public HubFixture() => Hub = new LoopbackHub(new Dictionary<string, byte[]>
    {
        ["config.json"] = Encoding.UTF8.GetBytes("{\"model_type\": \"gemma3\"}"),
        ["empty.txt"] = [],
        [Weights] = Pattern(700_001),
        [Nested] = Encoding.UTF8.GetBytes("Nötig.\n"),
    });

    public LoopbackHub Hub { get; }

    public string CacheFolder => _folder.File("cache");

    public string RepositoryFolder => Path.Combine(CacheFolder, "models--google--medgemma-4b-it");

    public string Snapshot => Path.Combine(RepositoryFolder, "snapshots", LoopbackHub.Commit);

    public string Blob(string file) => Path.Combine(RepositoryFolder, "blobs", Hub.ETag(file));

    public string Incomplete(string file) => Blob(file) + ".incomplete";

    public string File(string name) => _folder.File(name);

    public HubSettings Settings(string? token = null, bool offline = false, bool symbolicLinks = true, int stallMs = 5000) => new()
    {
        Endpoint = new Uri(Hub.Endpoint),
        CacheFolder = CacheFolder,
        Token = token,
        TokenSource = token is null ? null : "HF_TOKEN",
        Offline = offline,
        SymbolicLinks = symbolicLinks,
        FirstRetryDelay = TimeSpan.FromMilliseconds(2),
        StallTimeout = TimeSpan.FromMilliseconds(stallMs),
    };

    public Task<HubSnapshot> DownloadAsync(HubRequest? request = null, Action<HubProgress>? progress = null) => DownloadAsync(Settings(), request, progress);

    public static async Task<HubSnapshot> DownloadAsync(HubSettings settings, HubRequest? request = null, Action<HubProgress>? progress = null)
    {
        using var client = new HubClient(settings);
        return await client.DownloadAsync(request ?? new HubRequest(LoopbackHub.Repository), progress, TestContext.Current.CancellationToken);
    }

    /// <summary>The complaint of a download that must fail.</summary>
    public Task<string> ComplaintAsync(HubRequest? request = null) => ComplaintAsync(Settings(), request);

    public static async Task<string> ComplaintAsync(HubSettings settings, HubRequest? request = null)
    {
        string message = (await Assert.ThrowsAsync<CheckpointException>(() => DownloadAsync(settings, request))).Message;
        Assert.DoesNotContain('\n', message);
        if (settings.Token is { } token) Assert.DoesNotContain(token, message, StringComparison.Ordinal);
        return message;
    }

    /// <summary>Leaves the beginning of a file, as an interrupted run does.</summary>
    public void LeaveIncomplete(string file, ReadOnlySpan<byte> bytes)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Incomplete(file))!);
        System.IO.File.WriteAllBytes(Incomplete(file), bytes);
    }

    /// <summary>Everything of the repository is where it belongs, and nothing else is.</summary>
    public void AssertComplete()
    {
        foreach ((string file, byte[] bytes) in Hub.Files) Assert.Equal(bytes, System.IO.File.ReadAllBytes(Path.Combine(Snapshot, file)));
        Assert.Equal(Hub.Files.Keys.Order(StringComparer.Ordinal), FilesBelow(Snapshot));
        Assert.Equal(LoopbackHub.Commit, System.IO.File.ReadAllText(Path.Combine(RepositoryFolder, "refs", "main")));
        Assert.DoesNotContain(FilesBelow(RepositoryFolder), file => file.EndsWith(".incomplete", StringComparison.Ordinal) || file.EndsWith(".tmp", StringComparison.Ordinal));
    }

    public static IEnumerable<string> FilesBelow(string folder) => !Directory.Exists(folder) ? [] : Directory
        .EnumerateFiles(folder, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(folder, path)).Order(StringComparer.Ordinal);

    public void Dispose()
    {
        Hub.Dispose();
        _folder.Dispose();
    }

    private static byte[] Pattern(int length)
    {
        byte[] bytes = new byte[length];
        new Random(5).NextBytes(bytes);
        return bytes;
    }
}
