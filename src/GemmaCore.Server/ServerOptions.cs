using System.Net;
using GemmaCore.Server.RemoteImages;

namespace GemmaCore.Server;

/// <summary>What the server listens on, whom it answers and how much it takes.</summary>
public sealed record ServerOptions
{
    /// <summary>Address to listen on, or <c>localhost</c>.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>Port; 0 for any free one.</summary>
    public int Port { get; init; } = 8000;

    /// <summary>Keys that clients may give as bearer tokens; none for a server that asks for none.</summary>
    public IReadOnlyList<string> ApiKeys { get; init; } = [];

    /// <summary>Keys that the routes which load and unload adapters ask for, and that open all others too; none to let whoever may ask for answers use them.</summary>
    public IReadOnlyList<string> AdminKeys { get; init; } = [];

    /// <summary>Listen on an address that other machines reach, without a key.</summary>
    public bool InsecureNoAuth { get; init; }

    /// <summary>Host names besides localhost that a server on a loopback address answers to (behind a proxy, for example).</summary>
    public IReadOnlyList<string> AllowedHosts { get; init; } = [];

    /// <summary>Whether the page to talk to the model is at <c>/</c>.</summary>
    public bool ServesPage { get; init; } = true;

    /// <summary>Largest request body.</summary>
    public long MaxBodyBytes { get; init; } = 32L << 20;

    /// <summary>Most pictures of a request.</summary>
    public int MaxImages { get; init; } = 16;

    /// <summary>Most pixels of a picture, and of all pictures of a request together four times as many.</summary>
    public long MaxImagePixels { get; init; } = 32_000_000;

    /// <summary>Longest side of a picture in multiples of the shorter one.</summary>
    public int MaxImageAspect { get; init; } = 64;

    /// <summary>
    /// Hosts that pictures named by an <c>https</c> address are fetched from, by their exact names, <c>HOST</c> or <c>HOST:PORT</c>; none to fetch nothing. Whoever may ask
    /// questions makes the server connect there.
    /// </summary>
    public IReadOnlyList<string> AllowedImageHosts { get; init; } = [];

    /// <summary>Most pictures that are fetched for a request.</summary>
    public int MaxFetchedImages { get; init; } = 4;

    /// <summary>Largest file that is fetched; all of a request together may have <see cref="MaxBodyBytes"/>.</summary>
    public long MaxFetchedImageBytes { get; init; } = 16L << 20;

    /// <summary>How long fetching the pictures of a request may take, all together, and how long it waits for its turn before.</summary>
    public TimeSpan ImageFetchTime { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Requests whose pictures are being fetched at a time; others wait their turn.</summary>
    public int MaxFetchingRequests { get; init; } = 8;

    /// <summary>Tokens of an answer when neither the request nor the model's <c>generation_config.json</c> says.</summary>
    public int DefaultMaxTokens { get; init; } = 1024;

    /// <summary>Most answers to one request (<c>n</c>), and most prompts of one request.</summary>
    public int MaxChoices { get; init; } = 16;

    /// <summary>Requests under way at a time.</summary>
    public int MaxSequences { get; init; } = 64;

    /// <summary>Folders below which adapters may be loaded while the server runs; none to have the routes for it absent.</summary>
    public IReadOnlyList<string> AdapterRoots { get; init; } = [];

    /// <summary>Most adapters in memory.</summary>
    public int MaxAdapters { get; init; } = 32;

    /// <summary>Bytes of keys and values under way; 0 for a share of what the device has.</summary>
    public long CacheBytes { get; init; }

    /// <summary>
    /// Keep what prompts begin with, pictures above all, for later ones of the same tenant, in what requests under way leave of <see cref="CacheBytes"/>.
    /// </summary>
    public bool PrefixCache { get; init; } = true;

    /// <summary>Tokens, prompts and answers, that may wait; beyond it requests are refused with 429.</summary>
    public long MaxWaitingTokens { get; init; } = 1 << 18;

    /// <summary>How long answers under way may take to end when the server is told to stop.</summary>
    public TimeSpan DrainTime { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>True when only this machine can reach the address.</summary>
    public bool IsLoopback => Host == "localhost" || (IPAddress.TryParse(Host, out IPAddress? address) && IPAddress.IsLoopback(address));

    /// <summary>Refuses what is unsafe or makes no sense.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range; the message says what to do.</exception>
    public void Validate()
    {
        if (Host != "localhost" && !IPAddress.TryParse(Host, out _)) throw Wrong(nameof(Host), Host, "an IP address or localhost");
        if (Port is < 0 or > 65535) throw Wrong(nameof(Port), Port, "from 0 to 65535");
        if (AdminKeys.Any(string.IsNullOrWhiteSpace)) throw new ArgumentOutOfRangeException(nameof(AdminKeys), "a key must not be empty");
        if (ApiKeys.Any(string.IsNullOrWhiteSpace)) throw new ArgumentOutOfRangeException(nameof(ApiKeys), "a key must not be empty");
        if (!IsLoopback && ApiKeys.Count == 0 && !InsecureNoAuth)
            throw new ArgumentOutOfRangeException(
                nameof(Host), $"{Host} can be reached by other machines: give a key (--api-key), listen on 127.0.0.1, or say --insecure-no-auth to answer everyone");
        if (MaxBodyBytes < 1024) throw Wrong(nameof(MaxBodyBytes), MaxBodyBytes, "at least 1024");
        if (MaxImages < 0) throw Wrong(nameof(MaxImages), MaxImages, "0 or more");
        if (MaxImagePixels < 1) throw Wrong(nameof(MaxImagePixels), MaxImagePixels, "at least 1");
        if (MaxImageAspect < 1) throw Wrong(nameof(MaxImageAspect), MaxImageAspect, "at least 1");
        if (AllowedImageHosts.FirstOrDefault(host => !ImageHosts.IsValid(host)) is { } wrong)
            throw Wrong(nameof(AllowedImageHosts), wrong, "a host name (images.example.org, or images.example.org:8443), without https://, path or pattern, and no IP address");
        if (MaxFetchedImages < 0) throw Wrong(nameof(MaxFetchedImages), MaxFetchedImages, "0 or more");
        if (MaxFetchedImageBytes is < 1 or > 1 << 30) throw Wrong(nameof(MaxFetchedImageBytes), MaxFetchedImageBytes, $"from 1 to {1 << 30}");
        if (ImageFetchTime <= TimeSpan.Zero || ImageFetchTime > TimeSpan.FromHours(1)) throw Wrong(nameof(ImageFetchTime), ImageFetchTime, "more than nothing and at most an hour");
        if (MaxFetchingRequests < 1) throw Wrong(nameof(MaxFetchingRequests), MaxFetchingRequests, "at least 1");
        if (DefaultMaxTokens < 1) throw Wrong(nameof(DefaultMaxTokens), DefaultMaxTokens, "at least 1");
        if (MaxChoices < 1) throw Wrong(nameof(MaxChoices), MaxChoices, "at least 1");
        if (MaxSequences < 1) throw Wrong(nameof(MaxSequences), MaxSequences, "at least 1");
        if (MaxAdapters < 0) throw Wrong(nameof(MaxAdapters), MaxAdapters, "0 or more");
        if (AdapterRoots.FirstOrDefault(root => !Directory.Exists(root)) is { } missing) throw Wrong(nameof(AdapterRoots), missing, "folders that are there");
        if (CacheBytes < 0) throw Wrong(nameof(CacheBytes), CacheBytes, "0 or more");
        if (MaxWaitingTokens < 0) throw Wrong(nameof(MaxWaitingTokens), MaxWaitingTokens, "0 or more");
    }

    private static ArgumentOutOfRangeException Wrong(string name, object value, string expected) => new(name, $"{name} {value}: expected {expected}");
}
