namespace GemmaCore.Checkpoints.Hub;

/// <summary>
/// The standard hub cache, shared with the Python tools: <c>models--ORG--NAME/{blobs/ETAG, refs/BRANCH, snapshots/COMMIT/FILE}</c>,
/// where a snapshot's files are relative symbolic links to blobs.
/// </summary>
/// <param name="folder">Folder of the cache, which need not exist yet.</param>
public sealed class HubCache(string folder)
{
    /// <summary>The folder of a repository.</summary>
    /// <exception cref="CheckpointException">The name is none.</exception>
    public string RepositoryFolder(string repository)
    {
        HubName.CheckRepository(repository);
        return Path.Combine(folder, "models--" + repository.Replace("/", "--", StringComparison.Ordinal));
    }

    /// <summary>The folder with a repository's files at <paramref name="revision"/>, or null when the cache has none.</summary>
    /// <exception cref="CheckpointException">The repository or the revision is no name.</exception>
    public string? FindSnapshot(string repository, string revision = "main")
    {
        HubName.CheckRevision(revision);
        string repositoryFolder = RepositoryFolder(repository), reference = Path.Combine(repositoryFolder, "refs", revision);
        string commit = File.Exists(reference) ? File.ReadAllText(reference).Trim() : revision;
        if (!HubName.IsCommit(commit)) return null;
        string snapshot = Path.Combine(repositoryFolder, "snapshots", commit);
        return Directory.Exists(snapshot) ? snapshot : null;
    }

    /// <summary>The file that <c>huggingface_hub</c> locks (flock) while it writes a blob; we lock the same one.</summary>
    internal string LockPath(string repository, string name) =>
        Path.Combine(folder, ".locks", Path.GetFileName(RepositoryFolder(repository)), name + ".lock");
}
