using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Models.Lora;
using GemmaCore.Server.OpenAi;

namespace GemmaCore.Server;

/// <summary>A model under the name that requests use, its adapters under theirs, and the loop that answers.</summary>
public sealed class ServedModel : IDisposable
{
    private readonly ConcurrentDictionary<string, LoraAdapter> _adapters = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _encoding = new(Math.Max(1, Environment.ProcessorCount));

    /// <summary>Takes a loaded model into service, which it owns from then on, also when that fails.</summary>
    /// <param name="name">Its name in requests.</param>
    /// <param name="model">The model.</param>
    /// <param name="adapters">Adapter folders by the names that requests use for them.</param>
    /// <param name="options">Limits.</param>
    /// <exception cref="Checkpoints.CheckpointException">An adapter does not fit the model, or cannot be chosen request by request.</exception>
    public ServedModel(string name, GemmaModel model, IReadOnlyDictionary<string, string> adapters, ServerOptions options)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(adapters);
        ArgumentNullException.ThrowIfNull(options);
        (Name, Model, Options) = (name, model, options);
        Prompts = model.Prompts with { MaxImagePixels = options.MaxImagePixels };
        try
        {
            foreach ((string adapter, string folder) in adapters) _adapters[adapter] = model.LoadChoice(folder);
        }
        catch
        {
            model.Dispose();
            throw;
        }

        // A quarter: weights are mapped files on the CPU, and passes need room too.
        long bytes = options.CacheBytes > 0 ? options.CacheBytes : model.Model.Device.AvailableBytes / 4;
        Loop = new RequestLoop(model, new BatchLimits { MaxSequences = options.MaxSequences, MaxCacheBytes = bytes, KeepsPrefixes = options.PrefixCache }, options.MaxWaitingTokens);
    }

    /// <summary>The base model's name.</summary>
    public string Name { get; }

    /// <summary>The model.</summary>
    public GemmaModel Model { get; }

    /// <summary>Limits.</summary>
    public ServerOptions Options { get; }

    /// <summary>The way in, with the server's limits.</summary>
    public PromptEncoder Prompts { get; }

    /// <summary>Who answers.</summary>
    public RequestLoop Loop { get; }

    /// <summary>When it was loaded, in Unix seconds.</summary>
    public long Created { get; } = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    /// <summary>Names of the adapters, in order.</summary>
    public IEnumerable<string> AdapterNames => _adapters.Keys.Order(StringComparer.Ordinal);

    /// <summary>Most tokens of prompt and answer together.</summary>
    public int MaxLength => Model.Model.Layout.MaxPositions;

    /// <summary>The adapter that a request's <c>model</c> names; null for the base.</summary>
    /// <exception cref="RequestException">There is no such model.</exception>
    internal LoraAdapter? Resolve(string? name)
    {
        if (name is null || name == Name) return null;
        return _adapters.TryGetValue(name, out LoraAdapter? adapter) ? adapter : throw RequestException.UnknownModel(name);
    }

    /// <summary>The adapter of a name, or null.</summary>
    internal LoraAdapter? AdapterOrNull(string name) => _adapters.GetValueOrDefault(name);

    /// <summary>Encodes on the caller's thread, few at a time: pictures take memory while they are decoded.</summary>
    internal async Task<Prompt> EncodeAsync(Func<PromptEncoder, Prompt> encode, CancellationToken cancellation)
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
        foreach (LoraAdapter adapter in _adapters.Values) Model.RemoveAdapter(adapter);
        Model.Dispose();
        _encoding.Dispose();
    }
}
