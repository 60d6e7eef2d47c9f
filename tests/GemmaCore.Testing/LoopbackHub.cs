using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace GemmaCore.Testing;

/// <summary>A request as it came.</summary>
public sealed record HubCall(string Path, long? Start, string? Authorization);

/// <summary>A reply. <see cref="CutAfter"/> closes the connection after so many bytes of the body; <see cref="Declared"/> is the length the header claims.</summary>
public sealed record HubReply(int Status, byte[] Body)
{
    public string Headers { get; init; } = "";

    public int? CutAfter { get; init; }

    public long? Declared { get; init; }

    /// <summary>Set: nothing comes, not even a header, before this ends. A task, not a wait handle: a silent server must not take a thread from the client.</summary>
    public Task SilentBefore { get; init; } = Task.CompletedTask;

    /// <summary>Set: what was sent is all that comes, but the connection stays open until this ends.</summary>
    public Task SilentAfter { get; init; } = Task.CompletedTask;

    public static HubReply Empty(int status, string headers = "") => new(status, []) { Headers = headers };
}

/// <summary>
/// A hub on 127.0.0.1 with one repository: lists it, sends its files, honours Range. <see cref="Intercept"/> may answer instead, to misbehave.
/// </summary>
public sealed class LoopbackHub : IDisposable
{
    public const string Repository = "google/medgemma-4b-it", Commit = "0123456789abcdef0123456789abcdef01234567";

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

    public LoopbackHub(IReadOnlyDictionary<string, byte[]> files)
    {
        Files = files;
        _listener.Start();
        Endpoint = $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";
        _ = AcceptAsync();
    }

    public string Endpoint { get; }

    public IReadOnlyDictionary<string, byte[]> Files { get; }

    /// <summary>Everything that was asked, in order.</summary>
    public ConcurrentQueue<HubCall> Calls { get; } = new();

    /// <summary>The paths of the files that were asked for.</summary>
    public IEnumerable<string> FileCalls => Calls.Where(call => call.Path.Contains("/resolve/", StringComparison.Ordinal))
        .Select(call => call.Path[(call.Path.IndexOf(Commit, StringComparison.Ordinal) + Commit.Length + 1)..]);

    /// <summary>Answers a call, or leaves it (null) to the usual answer.</summary>
    public Func<HubCall, HubReply?> Intercept { get; set; } = _ => null;

    /// <summary>Changes the list of files before it is sent.</summary>
    public Action<JsonObject> ChangeListing { get; set; } = _ => { };

    /// <summary>True: every file is sent whole.</summary>
    public bool IgnoresRange { get; set; }

    /// <summary>The checksum under which a file is stored: SHA-256 for weights, git's blob id for the rest.</summary>
    public string ETag(string file) => IsLarge(file)
        ? Convert.ToHexStringLower(SHA256.HashData(Files[file]))
        : Convert.ToHexStringLower(CryptographicOperations.HashData(HashAlgorithmName.SHA1, (byte[])[.. Encoding.ASCII.GetBytes($"blob {Files[file].Length}\0"), .. Files[file]]));

    public void Dispose() => _listener.Dispose();

    private static bool IsLarge(string file) => file.EndsWith(".safetensors", StringComparison.Ordinal);

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = ServeAsync(await _listener.AcceptTcpClientAsync());
        }
        catch (Exception error) when (error is ObjectDisposedException or SocketException)
        {
            // The test is over.
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        try
        {
            using (client)
            await using (NetworkStream stream = client.GetStream())
            {
                if (await ReadCallAsync(stream) is not { } call) return;
                Calls.Enqueue(call);
                HubReply reply = Intercept(call) ?? Answer(call);
                await reply.SilentBefore;
                string head = string.Create(CultureInfo.InvariantCulture,
                    $"HTTP/1.1 {reply.Status} Answer\r\nConnection: close\r\nContent-Length: {reply.Declared ?? reply.Body.Length}\r\n{reply.Headers}\r\n");
                await stream.WriteAsync(Encoding.ASCII.GetBytes(head));
                await stream.WriteAsync(reply.Body.AsMemory(0, reply.CutAfter ?? reply.Body.Length));
                await reply.SilentAfter;
            }
        }
        catch (IOException)
        {
            // The client went away first.
        }
    }

    private static async Task<HubCall?> ReadCallAsync(NetworkStream stream)
    {
        using var reader = new StreamReader(stream, Encoding.ASCII, leaveOpen: true);
        if (await reader.ReadLineAsync() is not { } first) return null;
        long? start = null;
        string? authorization = null;
        while (await reader.ReadLineAsync() is { Length: > 0 } header)
        {
            if (header.StartsWith("Range: bytes=", StringComparison.Ordinal)) start = long.Parse(header[13..^1], CultureInfo.InvariantCulture);
            if (header.StartsWith("Authorization: ", StringComparison.Ordinal)) authorization = header[15..];
        }

        return new HubCall(first.Split(' ')[1], start, authorization);
    }

    private HubReply Answer(HubCall call)
    {
        if (call.Path == $"/api/models/{Repository}/revision/main?blobs=true" || call.Path == $"/api/models/{Repository}/revision/{Commit}?blobs=true")
            return new HubReply(200, Encoding.UTF8.GetBytes(Listing().ToJsonString()));
        if (call.Path.StartsWith($"/api/models/{Repository}/", StringComparison.Ordinal)) return HubReply.Empty(404, "X-Error-Code: RevisionNotFound\r\n");
        string prefix = $"/{Repository}/resolve/{Commit}/";
        if (!call.Path.StartsWith(prefix, StringComparison.Ordinal) || !Files.TryGetValue(Uri.UnescapeDataString(call.Path[prefix.Length..]), out byte[]? bytes))
            return HubReply.Empty(404, "X-Error-Code: RepoNotFound\r\n");
        if (call.Start is not { } start || IgnoresRange) return new HubReply(200, bytes);
        if (start >= bytes.Length) return HubReply.Empty(416);
        return new HubReply(206, bytes[(int)start..]) { Headers = $"Content-Range: bytes {start}-{bytes.Length - 1}/{bytes.Length}\r\n" };
    }

    private JsonObject Listing()
    {
        var siblings = new JsonArray();
        foreach ((string file, byte[] bytes) in Files)
        {
            var entry = new JsonObject { ["rfilename"] = file, ["size"] = bytes.Length, ["blobId"] = new string('0', 40) };
            if (IsLarge(file)) entry["lfs"] = new JsonObject { ["sha256"] = ETag(file), ["size"] = bytes.Length, ["pointerSize"] = 135 };
            else entry["blobId"] = ETag(file);
            siblings.Add((JsonNode)entry);
        }

        var listing = new JsonObject { ["id"] = Repository, ["sha"] = Commit, ["siblings"] = siblings };
        ChangeListing(listing);
        return listing;
    }
}
