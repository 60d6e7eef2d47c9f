using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Models.Lora;
using Microsoft.Extensions.AI;

namespace GemmaCore.Extensions.AI;

/// <summary>
/// Texts and pictures as vectors of length 1: the mean of the model's last hidden states (<see cref="Embeddings"/>). Gemma is not trained to embed; the vectors are
/// good for search among texts, or pictures, of one kind. <see cref="EmbeddingGenerationOptions.ModelId"/> may name an adapter.
/// </summary>
public sealed class GemmaEmbeddingGenerator : IEmbeddingGenerator<string, Embedding<float>>, IEmbeddingGenerator<DataContent, Embedding<float>>
{
    private readonly NamedModel _named;
    private readonly EmbeddingGeneratorMetadata _metadata;

    /// <summary>A generator with a loop that answers others too; all of it stays the caller's.</summary>
    /// <param name="name">The base model's name.</param>
    /// <param name="model">The model.</param>
    /// <param name="loop">Who computes.</param>
    /// <param name="adapters">The adapter of a name, null for a name that there is not; null for no adapters.</param>
    public GemmaEmbeddingGenerator(string name, GemmaModel model, RequestLoop loop, Func<string, LoraAdapter?>? adapters = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(loop);
        _named = new NamedModel(name, model, loop, adapters ?? (_ => null));
        _metadata = new EmbeddingGeneratorMetadata(AnswerTelemetry.ProviderName, null, name, model.Model.Layout.HiddenSize);
        Prompts = model.Prompts;
    }

    /// <summary>The way in, with its limits on pictures.</summary>
    public PromptEncoder Prompts { get; init; }

    /// <summary>Embeds texts.</summary>
    /// <param name="values">The texts.</param>
    /// <param name="options">Model and dimensions; read, never changed.</param>
    /// <param name="cancellationToken">Ends the computation before its next step.</param>
    /// <exception cref="InputException">A text is empty or longer than the model's positions.</exception>
    /// <exception cref="NotSupportedException">An option that is not honoured; the message names it.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no model of that name, or it has fewer dimensions.</exception>
    /// <exception cref="QueueFullException">Too much is waiting.</exception>
    public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        return GenerateAsync([.. values.Select<string, Func<Prompt>>(text => () => Prompts.EncodeText(text, []))], options, cancellationToken);
    }

    /// <summary>Embeds pictures.</summary>
    /// <exception cref="NotSupportedException">Something that is no picture, or an option that is not honoured.</exception>
    /// <inheritdoc cref="GenerateAsync(IEnumerable{string}, EmbeddingGenerationOptions?, CancellationToken)"/>
    public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<DataContent> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        return GenerateAsync([.. values.Select(Encoder)], options, cancellationToken);
    }

    /// <summary><see cref="EmbeddingGeneratorMetadata"/>, <see cref="GemmaModel"/>, <see cref="RequestLoop"/>, or the generator itself.</summary>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null) return null;
        return ((object[])[_metadata, _named.Model, _named.Loop, this]).FirstOrDefault(serviceType.IsInstanceOfType);
    }

    /// <summary>Nothing here is the generator's own.</summary>
    public void Dispose()
    {
    }

    private Func<Prompt> Encoder(DataContent content) => content.HasTopLevelMediaType("image")
        ? () => Prompts.EncodeText("", [ImageSource.FromBytes(content.Data)])
        : throw new NotSupportedException($"There is data of the type {content.MediaType} to embed; the model takes text and images");

    private async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(Func<Prompt>[] values, EmbeddingGenerationOptions? options, CancellationToken cancellation)
    {
        if (options is not null) Check(options);
        string name = options?.ModelId ?? _named.Name;
        LoraAdapter? adapter = _named.Resolve(name);
        if (options?.Dimensions is { } wanted && (wanted < 1 || wanted > _metadata.DefaultModelDimensions))
            throw new ArgumentOutOfRangeException(nameof(options), wanted, $"Dimensions {wanted}: expected from 1 to {_metadata.DefaultModelDimensions}");
        if (values.Length == 0) return [];
        Prompt[] prompts = await Task.Run(() => values.Select(value => value()).ToArray(), cancellation).ConfigureAwait(false);
        GenerationRequest[] asked = [.. prompts.Select(prompt => Embeddings.Request(prompt, Prompts.Tokenizer) with { Adapter = adapter })];
        using AnswerTelemetry telemetry = AnswerTelemetry.Begin("embeddings", name, isClient: true);
        GenerationResult[] results = await RunAsync(asked, telemetry, cancellation).ConfigureAwait(false);
        DateTimeOffset now = DateTimeOffset.UtcNow;
        int dimensions = options?.Dimensions ?? _metadata.DefaultModelDimensions!.Value;
        long tokens = results.Sum(result => (long)result.PromptTokenCount);
        return new GeneratedEmbeddings<Embedding<float>>(
            results.Select(result => new Embedding<float>(Embeddings.Shorten([.. result.Embedding!], dimensions)) { ModelId = name, CreatedAt = now }))
        {
            Usage = new UsageDetails { InputTokenCount = tokens, TotalTokenCount = tokens },
        };
    }

    private async Task<GenerationResult[]> RunAsync(GenerationRequest[] asked, AnswerTelemetry telemetry, CancellationToken cancellation)
    {
        try
        {
            IReadOnlyList<PendingAnswer> pending = _named.Loop.Submit(asked, cancellation);
            GenerationResult[] results = await Task.WhenAll(pending.Select(answer => answer.Result)).ConfigureAwait(false);
            telemetry.End(pending);
            cancellation.ThrowIfCancellationRequested();
            // The caller has not cancelled: whoever owns the loop has.
            return Array.TrueForAll(results, result => result.Embedding is not null) ? results : throw new OperationCanceledException("The model is shutting down");
        }
        catch (Exception error)
        {
            telemetry.Fail(error);
            throw;
        }
    }

    private static void Check(EmbeddingGenerationOptions options)
    {
        if (options.RawRepresentationFactory is not null) throw Unsupported(nameof(options.RawRepresentationFactory));
        if (options.AdditionalProperties is { Count: > 0 } others) throw Unsupported($"{nameof(options.AdditionalProperties)}['{others.First().Key}']");
    }

    private static NotSupportedException Unsupported(string name) => new($"{nameof(EmbeddingGenerationOptions)}.{name} is not supported: leave it out");
}
