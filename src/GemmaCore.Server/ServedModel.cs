using System.Security.Cryptography;
using System.Text;
using GemmaCore.Checkpoints;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Models.Lora;
using GemmaCore.Server.Guards;
using GemmaCore.Server.Observability;
using GemmaCore.Server.OpenAi;
using GemmaCore.Server.RemoteImages;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server;

/// <summary>A model under the name that requests use, its adapters under theirs, and the loop that answers.</summary>
public sealed class ServedModel : IDisposable
{
    private readonly AdapterShelf _adapters = new();
    private readonly AdapterRoots _roots;
    private readonly SemaphoreSlim _loading = new(1);
    private readonly SemaphoreSlim _encoding = new(Math.Max(1, Environment.ProcessorCount));

    /// <summary>Takes a loaded model into service, which it owns from then on, also when that fails.</summary>
    /// <param name="name">Its name in requests.</param>
    /// <param name="model">The model.</param>
    /// <param name="adapters">Adapter folders by the names that requests use for them.</param>
    /// <param name="options">Limits.</param>
    /// <exception cref="CheckpointException">An adapter does not fit the model, or cannot be chosen request by request.</exception>
    public ServedModel(string name, GemmaModel model, IReadOnlyDictionary<string, string> adapters, ServerOptions options) : this(name, model, adapters, options, ImageNetwork.Internet)
    {
    }

    internal ServedModel(string name, GemmaModel model, IReadOnlyDictionary<string, string> adapters, ServerOptions options, ImageNetwork network)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(adapters);
        ArgumentNullException.ThrowIfNull(options);
        (Name, Model, Options) = (name, model, options);
        Prompts = model.Prompts with { MaxImagePixels = options.MaxImagePixels };
        try
        {
            _roots = new AdapterRoots(options.AdapterRoots);
            Images = new ImageFetcher(options, network);
            foreach ((string adapter, string folder) in adapters) _adapters.Add(adapter, model.LoadChoice(folder));
            long bytes = options.CacheBytes > 0 ? options.CacheBytes : long.MaxValue;
            Loop = new RequestLoop(model, new BatchLimits { MaxSequences = options.MaxSequences, MaxCacheBytes = bytes, KeepsPrefixes = options.PrefixCache }, options.MaxWaitingTokens, tokens => StepTokens.Observe(tokens));
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>The base model's name.</summary>
    public string Name { get; }

    /// <summary>The model.</summary>
    public GemmaModel Model { get; }

    /// <summary>Limits.</summary>
    public ServerOptions Options { get; }

    /// <summary>The way in, with the server's limits.</summary>
    public PromptEncoder Prompts { get; }

    /// <summary>The way to pictures that are elsewhere.</summary>
    internal ImageFetcher Images { get; }

    /// <summary>Who answers.</summary>
    public RequestLoop Loop { get; }

    /// <summary>Tokens that went through the model in one step, step by step.</summary>
    internal Histogram StepTokens { get; } = Histogram.OfSteps();

    /// <summary>When it was loaded, in Unix seconds.</summary>
    public long Created { get; } = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    /// <summary>Names of the adapters, in order.</summary>
    public IEnumerable<string> AdapterNames => _adapters.Names;

    /// <summary>True when adapters may be loaded while the server runs.</summary>
    internal bool LoadsAdapters => _roots.Any;

    /// <summary>Most tokens of prompt and answer together.</summary>
    public int MaxLength => Model.Model.Layout.MaxPositions;

    /// <summary>The adapter that a request's <c>model</c> names, held until the request is over; null for the base.</summary>
    /// <exception cref="RequestException">There is no such model.</exception>
    internal LoraAdapter? Resolve(string? name, HttpContext context)
    {
        if (name is null || name == Name) return null;
        AdapterShelf.Hold hold = _adapters.Take(name) ?? throw RequestException.UnknownModel(name);
        context.Response.RegisterForDispose(hold);
        return hold.Adapter;
    }

    /// <summary>Refuses a <c>model</c> that is neither the base nor an adapter.</summary>
    /// <exception cref="RequestException">There is no such model.</exception>
    internal void RequireModel(string? name)
    {
        if (name is not null && name != Name && !_adapters.Has(name)) throw RequestException.UnknownModel(name);
    }

    /// <summary>Loads an adapter from below a root, between two steps of the loop.</summary>
    /// <param name="name">Its name in requests.</param>
    /// <param name="path">Plain names, relative to a root.</param>
    /// <exception cref="RequestException">The name is taken, there are too many, there is no such folder, or what is in it does not fit.</exception>
    internal async Task LoadAdapterAsync(string name, string path)
    {
        await _loading.WaitAsync().ConfigureAwait(false);
        try
        {
            if (name == Name || _adapters.Has(name)) throw RequestException.Invalid($"The name '{name}' is taken; unload the adapter of that name first", "lora_name", "adapter_exists");
            if (_adapters.Adapters.Count >= Options.MaxAdapters) throw RequestException.Invalid($"{Options.MaxAdapters} adapters are loaded, and no more are allowed; unload one", "lora_name", "too_many_adapters");
            string folder = _roots.Find(path) ?? throw RequestException.Invalid(
                $"There is no adapter '{RequestException.Shorten(path)}' below the server's adapter roots; give its folder's name there", "lora_path", "adapter_not_found");
            LoraAdapter adapter = await Loop.BetweenSteps(() => Model.LoadChoice(folder)).ConfigureAwait(false);
            if (!_roots.IsSound(folder))
            {
                await Loop.BetweenSteps(() => GiveUp(adapter)).ConfigureAwait(false);
                throw RequestException.Invalid("The adapter's files were exchanged while they were read", "lora_path", "adapter_not_found");
            }

            _adapters.Add(name, adapter);
        }
        catch (CheckpointException error)
        {
            throw RequestException.Invalid($"The adapter cannot be used: {WithoutFolders(error.Message, path)}", "lora_path", "invalid_adapter");
        }
        finally
        {
            _loading.Release();
        }
    }

    /// <summary>Takes an adapter out of service. Requests that use it are answered to their end; then its memory is given back.</summary>
    /// <exception cref="RequestException">There is none of that name.</exception>
    internal void UnloadAdapter(string name)
    {
        LoraAdapter adapter = _adapters.Remove(name)
            ?? throw new RequestException(StatusCodes.Status404NotFound, "invalid_request_error", $"There is no adapter '{RequestException.Shorten(name)}'", "lora_name", "adapter_not_found");
        _ = GiveUpWhenUnusedAsync(adapter);
    }

    private async Task GiveUpWhenUnusedAsync(LoraAdapter adapter)
    {
        try
        {
            while (!await Loop.BetweenSteps(() => !Loop.Uses(adapter) && _adapters.TryGiveUp(adapter) && GiveUp(adapter)).ConfigureAwait(false)) await Task.Delay(50).ConfigureAwait(false);
        }
        catch (LoopClosedException)
        {
            // the end of the server gives everything back
        }
    }

    private bool GiveUp(LoraAdapter adapter)
    {
        Loop.Forget(adapter);
        Model.RemoveAdapter(adapter);
        return true;
    }

    // Where the roots lie is nobody's business.
    private string WithoutFolders(string message, string name)
    {
        foreach (string root in Options.AdapterRoots.SelectMany(root => (string[])[Path.GetFullPath(root), root]).Append(_roots.Find(name) ?? name).OrderByDescending(root => root.Length))
            message = message.Replace(root, "…", StringComparison.Ordinal);
        return message.ReplaceLineEndings(" ");
    }

    /// <summary>The adapter of a name for callers within the process, to the end; or null.</summary>
    internal LoraAdapter? AdapterOrNull(string name) => _adapters.Pin(name);

    /// <summary>Encodes on the caller's thread, few at a time: pictures take memory while they are decoded.</summary>
    internal async Task<T> EncodeAsync<T>(Func<PromptEncoder, T> encode, CancellationToken cancellation)
    {
        await _encoding.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            return await Task.Run(() => encode(Prompts), cancellation).ConfigureAwait(false);
        }
        finally
        {
            _encoding.Release();
        }
    }

    /// <summary>Whose turn a request takes: a name for the key, which is not kept.</summary>
    internal static string Tenant(string? key) =>
        key is null ? "" : Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(key)), 0, 8);

    /// <inheritdoc/>
    public void Dispose()
    {
        Loop.Dispose();
        foreach (LoraAdapter adapter in _adapters.Adapters) Model.RemoveAdapter(adapter);
        Model.Dispose();
        Images.Dispose();
        _encoding.Dispose();
        _loading.Dispose();
    }
}
