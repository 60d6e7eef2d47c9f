using System.Text.Json;

namespace GemmaCore.Checkpoints.Hub;

/// <summary>A file of a repository as the hub describes it; its name has been checked, its tag is a <see cref="HubChecksum"/>.</summary>
internal sealed record HubFile(string Name, string ETag, long Size);

/// <summary>A revision resolved: its commit and its files.</summary>
internal sealed record HubListing(string Commit, IReadOnlyList<HubFile> Files)
{
    /// <summary>Reads the hub's answer to <c>/api/models/REPOSITORY/revision/REVISION?blobs=true</c>.</summary>
    /// <exception cref="CheckpointException">It is no such answer, or names a file that would land outside the folder.</exception>
    public static HubListing Parse(string repository, ReadOnlyMemory<byte> json)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            JsonElement root = document.RootElement;
            string commit = root.GetProperty("sha").GetString() ?? "";
            if (!HubName.IsCommit(commit)) throw Unusable(repository, $"'sha' is '{commit}', not a commit id");
            return new HubListing(commit, [.. root.GetProperty("siblings").EnumerateArray().Select(entry => ParseFile(repository, entry))]);
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw Unusable(repository, error.Message, error);
        }
    }

    private static HubFile ParseFile(string repository, JsonElement entry)
    {
        string name = entry.GetProperty("rfilename").GetString() ?? "";
        if (!HubName.IsRelativePath(name))
            throw new CheckpointException($"{repository} lists a file named '{name}', which would land outside its folder; nothing was downloaded");
        // Large files carry the checksum of their content, small ones git's id for it.
        bool large = entry.TryGetProperty("lfs", out JsonElement lfs) && lfs.ValueKind == JsonValueKind.Object;
        string? etag = (large ? lfs.GetProperty("sha256") : entry.GetProperty("blobId")).GetString();
        long size = (large ? lfs : entry).GetProperty("size").GetInt64();
        if (!HubChecksum.IsChecksum(etag) || size < 0) throw Unusable(repository, $"{name} has checksum '{etag}' and size {size}");
        return new HubFile(name, etag!, size);
    }

    private static CheckpointException Unusable(string repository, string what, Exception? cause = null) =>
        new($"{repository}: the answer is not a list of files with sizes and checksums as the hub gives it ({what}); does HF_ENDPOINT name a hub?", cause!);
}
