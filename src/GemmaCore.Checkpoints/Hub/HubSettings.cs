namespace GemmaCore.Checkpoints.Hub;

/// <summary>
/// Where the hub is, where its cache is, and who is asking. The names of the variables and their order of precedence are those of
/// <c>huggingface_hub</c>, so a machine set up for the Python tools needs nothing new. A class, not a record: a record would print the token.
/// </summary>
public sealed class HubSettings
{
    private static readonly Uri HuggingFace = new("https://huggingface.co");

    /// <summary>Root of the hub's web address.</summary>
    public Uri Endpoint { get; init; } = HuggingFace;

    /// <summary>Folder that holds <c>models--ORG--NAME</c> folders.</summary>
    public required string CacheFolder { get; init; }

    /// <summary>Access token, or null. Sent to <see cref="Endpoint"/> only.</summary>
    public string? Token { get; init; }

    /// <summary>The variable, flag or file that <see cref="Token"/> came from, or null.</summary>
    public string? TokenSource { get; init; }

    /// <summary>True: no network at all, only what the cache holds.</summary>
    public bool Offline { get; init; }

    /// <summary>False where the file system has no symbolic links: snapshots then hold the files themselves.</summary>
    public bool SymbolicLinks { get; init; } = true;

    /// <summary>Failed attempts in a row, without a byte gained, before a transfer is given up.</summary>
    public int AttemptCount { get; init; } = 5;

    /// <summary>Wait before the second attempt; each further wait is twice as long.</summary>
    public TimeSpan FirstRetryDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>A connection on which nothing arrives for this long counts as broken.</summary>
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Reads the settings through <paramref name="variable"/> (normally <see cref="Environment.GetEnvironmentVariable(string)"/>).</summary>
    /// <param name="variable">Value of a variable, or null.</param>
    /// <param name="token">The token of the <c>--token</c> flag, which goes before variable and file, or null.</param>
    /// <exception cref="CheckpointException"><c>HF_ENDPOINT</c> is no web address, or the token cannot stand in a request header.</exception>
    public static HubSettings FromEnvironment(Func<string, string?> variable, string? token = null)
    {
        ArgumentNullException.ThrowIfNull(variable);
        string tokenFile = Folder(variable, "HF_TOKEN_PATH") ?? Path.Combine(HomeFolder(variable), "token");
        (string? found, string? source) = token is not null ? (token, "--token")
            : Value(variable, "HF_TOKEN") is { } fromVariable ? (fromVariable, "HF_TOKEN")
            : ReadToken(tokenFile) is { } fromFile ? (fromFile, tokenFile)
            : (null, null);
        if (found is not null && (found.Length == 0 || found.AsSpan().ContainsAnyExceptInRange('!', '~')))
            throw new CheckpointException($"the hub token from {source} is empty or holds a character that no token has; copy it again from the hub's settings");
        return new HubSettings
        {
            Endpoint = Value(variable, "HF_ENDPOINT") is { } endpoint ? ParseEndpoint(endpoint) : HuggingFace,
            CacheFolder = FindCache(variable),
            Token = found,
            TokenSource = source,
            Offline = Value(variable, "HF_HUB_OFFLINE")?.ToUpperInvariant() is "1" or "ON" or "YES" or "TRUE",
        };
    }

    /// <summary>The cache folder alone, for those who read what is there: no other setting can be wrong then.</summary>
    public static string FindCache(Func<string, string?> variable)
    {
        ArgumentNullException.ThrowIfNull(variable);
        return Path.GetFullPath(Folder(variable, "HF_HUB_CACHE") ?? Path.Combine(HomeFolder(variable), "hub"));
    }

    private static string UserFolder => Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);

    private static string HomeFolder(Func<string, string?> variable) =>
        Folder(variable, "HF_HOME") ?? Path.Combine(Folder(variable, "XDG_CACHE_HOME") ?? Path.Combine(UserFolder, ".cache"), "huggingface");

    private static string? Folder(Func<string, string?> variable, string name) => Value(variable, name) switch
    {
        "~" => UserFolder,
        { } text when text.StartsWith("~/", StringComparison.Ordinal) => Path.Combine(UserFolder, text[2..]),
        var text => text,
    };

    private static string? Value(Func<string, string?> variable, string name) =>
        variable(name) is { } text && !string.IsNullOrWhiteSpace(text) ? text.Trim() : null;

    private static string? ReadToken(string path)
    {
        if (!File.Exists(path)) return null;
        try
        {
            string text = File.ReadAllText(path).Trim();
            return text.Length > 0 ? text : null;
        }
        catch (Exception error) when (error is UnauthorizedAccessException or IOException)
        {
            throw new CheckpointException($"the hub token file {path} cannot be read: {error.Message}", error);
        }
    }

    private static Uri ParseEndpoint(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out Uri? endpoint) && endpoint is { Scheme: "http" or "https", Query: "", Fragment: "" }
            ? endpoint
            : throw new CheckpointException($"HF_ENDPOINT is '{text}'; expected a web address such as https://huggingface.co");
}
