using System.CommandLine;
using GemmaCore.Server;

namespace GemmaCore.Cli;

/// <summary>What the server listens on, whom it answers and how much it takes, as options.</summary>
internal sealed class ServingOptions
{
    private static readonly ServerOptions Usual = new();

    private readonly Option<string> _host = new("--host") { Description = "address to listen on; one that other machines reach needs a key", DefaultValueFactory = _ => Usual.Host };
    private readonly Option<int> _port = new("--port") { Description = "port; 0 for any free one", DefaultValueFactory = _ => Usual.Port };
    private readonly Option<string[]> _keys = new("--api-key") { Description = "key that clients must send; may be repeated" };
    private readonly Option<string?> _keyFile = new("--api-key-file") { Description = "file with one key a line, which other users of the machine cannot see as they do flags" };
    private readonly Option<string[]> _adminKeys = new("--admin-key") { Description = "key that the routes which load and unload adapters ask for; may be repeated" };
    private readonly Option<bool> _insecure = new("--insecure-no-auth") { Description = "listen on any address without a key" };
    private readonly Option<string[]> _hosts = new("--allowed-host") { Description = "host name to answer to besides localhost; may be repeated" };
    private readonly Option<bool> _noPage = new("--no-page") { Description = "serve the API alone, without the page at /" };
    private readonly Option<string?> _name = new("--served-model-name") { Description = "the model's name in requests" };
    private readonly Option<string[]> _adapters = new("--adapter") { Description = "NAME=DIR: a PEFT adapter that requests choose as their model; may be repeated" };
    private readonly Option<string[]> _roots = new("--adapter-root") { Description = "DIR below which /v1/load_lora_adapter may load adapters by name; may be repeated" };
    private readonly Option<int> _most = new("--max-adapters") { Description = "most adapters in memory", DefaultValueFactory = _ => Usual.MaxAdapters };
    private readonly Option<int> _maxTokens = new("--max-tokens") { Description = "tokens of an answer when neither request nor model says", DefaultValueFactory = _ => Usual.DefaultMaxTokens };
    private readonly Option<int> _sequences = new("--max-sequences") { Description = "answers under way at a time", DefaultValueFactory = _ => Usual.MaxSequences };
    private readonly Option<long> _waiting = new("--max-waiting-tokens") { Description = "tokens that may wait in the queue", DefaultValueFactory = _ => Usual.MaxWaitingTokens };
    private readonly Option<long> _cache = new("--kv-cache-bytes") { Description = "memory for keys and values; 0 for a quarter of what is there", DefaultValueFactory = _ => Usual.CacheBytes };
    private readonly Option<bool> _noPrefixes = new("--no-prefix-cache") { Description = "compute every prompt from its beginning" };
    private readonly Option<long> _body = new("--max-body-bytes") { Description = "largest request", DefaultValueFactory = _ => Usual.MaxBodyBytes };
    private readonly Option<int> _images = new("--max-images") { Description = "most images of a request", DefaultValueFactory = _ => Usual.MaxImages };
    private readonly Option<long> _pixels = new("--max-image-pixels") { Description = "most pixels of an image", DefaultValueFactory = _ => Usual.MaxImagePixels };
    private readonly Option<string[]> _imageHosts = new("--allow-image-host") { Description = "HOST or HOST:PORT that images named by an https address are fetched from, which are refused otherwise; may be repeated" };
    private readonly Option<int> _fetched = new("--max-fetched-images") { Description = "most images that are fetched for a request", DefaultValueFactory = _ => Usual.MaxFetchedImages };
    private readonly Option<long> _fetchedBytes = new("--max-fetched-bytes") { Description = "largest image that is fetched", DefaultValueFactory = _ => Usual.MaxFetchedImageBytes };
    private readonly Option<int> _fetchSeconds = new("--fetch-seconds") { Description = "time for fetching the images of a request", DefaultValueFactory = _ => (int)Usual.ImageFetchTime.TotalSeconds };
    private readonly Option<int> _choices = new("--max-choices") { Description = "most answers to one request", DefaultValueFactory = _ => Usual.MaxChoices };
    private readonly Option<int> _drain = new("--drain-seconds") { Description = "time for answers under way to end at a stop", DefaultValueFactory = _ => (int)Usual.DrainTime.TotalSeconds };

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_host, _port, _keys, _keyFile, _adminKeys, _insecure, _hosts, _noPage, _name, _adapters, _roots, _most, _maxTokens, _sequences, _waiting, _cache, _noPrefixes, _body, _images, _pixels, _imageHosts, _fetched, _fetchedBytes, _fetchSeconds, _choices, _drain])
            command.Add(option);
    }

    /// <exception cref="UsageException">An option is unsafe or makes no sense.</exception>
    public ServerOptions Read(ParseResult parsed)
    {
        var options = new ServerOptions
        {
            Host = parsed.GetValue(_host)!,
            Port = parsed.GetValue(_port),
            ApiKeys = [.. parsed.GetValue(_keys) ?? [], .. KeysIn(parsed.GetValue(_keyFile))],
            AdminKeys = parsed.GetValue(_adminKeys) ?? [],
            InsecureNoAuth = parsed.GetValue(_insecure),
            AllowedHosts = parsed.GetValue(_hosts) ?? [],
            ServesPage = !parsed.GetValue(_noPage),
            AdapterRoots = parsed.GetValue(_roots) ?? [],
            MaxAdapters = parsed.GetValue(_most),
            DefaultMaxTokens = parsed.GetValue(_maxTokens),
            MaxSequences = parsed.GetValue(_sequences),
            MaxWaitingTokens = parsed.GetValue(_waiting),
            CacheBytes = parsed.GetValue(_cache),
            PrefixCache = !parsed.GetValue(_noPrefixes),
            MaxBodyBytes = parsed.GetValue(_body),
            MaxImages = parsed.GetValue(_images),
            MaxImagePixels = parsed.GetValue(_pixels),
            AllowedImageHosts = parsed.GetValue(_imageHosts) ?? [],
            MaxFetchedImages = parsed.GetValue(_fetched),
            MaxFetchedImageBytes = parsed.GetValue(_fetchedBytes),
            ImageFetchTime = TimeSpan.FromSeconds(parsed.GetValue(_fetchSeconds)),
            MaxChoices = parsed.GetValue(_choices),
            DrainTime = TimeSpan.FromSeconds(Math.Max(0, parsed.GetValue(_drain))),
        };
        try
        {
            options.Validate();
            return options;
        }
        catch (ArgumentOutOfRangeException error)
        {
            throw new UsageException(error.Message.Replace($" (Parameter '{error.ParamName}')", "", StringComparison.Ordinal)); // a property's name, which nobody has typed
        }
    }

    /// <summary>Adapter folders by name.</summary>
    public Dictionary<string, string> Adapters(ParseResult parsed)
    {
        var adapters = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string text in parsed.GetValue(_adapters) ?? [])
        {
            int at = text.IndexOf('=', StringComparison.Ordinal);
            if (at < 1 || at == text.Length - 1) throw new UsageException($"--adapter {text}: expected NAME=DIR");
            if (!adapters.TryAdd(text[..at], text[(at + 1)..])) throw new UsageException($"--adapter {text}: there is another adapter of that name");
        }

        return adapters;
    }

    /// <summary>The model's name in requests: a hub id as it is, of a folder its last part, because where it lies is nobody's business.</summary>
    public string NameOf(ParseResult parsed, string model) =>
        parsed.GetValue(_name) ?? (Directory.Exists(model) ? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(model))) : model);

    private static string[] KeysIn(string? file)
    {
        if (file is null) return [];
        string[] keys = [.. File.ReadAllLines(file).Select(line => line.Trim()).Where(line => line.Length > 0)];
        return keys.Length > 0 ? keys : throw new UsageException($"--api-key-file {file}: holds no key");
    }
}
