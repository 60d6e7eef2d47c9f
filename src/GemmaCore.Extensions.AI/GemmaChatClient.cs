using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using GemmaCore.Generation;
using GemmaCore.Generation.Tools;
using GemmaCore.Inputs;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using Microsoft.Extensions.AI;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;
using ChatRole = Microsoft.Extensions.AI.ChatRole;

namespace GemmaCore.Extensions.AI;

/// <summary>
/// An <see cref="IChatClient"/> whose model is in this process. Pictures come as <see cref="DataContent"/> in the user's messages, <see cref="ChatOptions.ModelId"/>
/// names the base model or an adapter, and many calls are answered at a time. It keeps no conversation and fetches nothing.
/// </summary>
public sealed class GemmaChatClient : IChatClient
{
    private static readonly JsonTypeInfo ArgumentsType = AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(IDictionary<string, object?>));

    private readonly NamedModel _named;
    private readonly IReadOnlyList<IDisposable> _owned;
    private readonly ChatClientMetadata _metadata;

    /// <summary>A client of a loop that answers others too; all of it stays the caller's.</summary>
    /// <param name="name">The base model's name.</param>
    /// <param name="model">The model.</param>
    /// <param name="loop">Who answers.</param>
    /// <param name="adapters">The adapter of a name (<see cref="GemmaModel.LoadChoice"/>), null for a name that there is not; null for no adapters.</param>
    public GemmaChatClient(string name, GemmaModel model, RequestLoop loop, Func<string, LoraAdapter?>? adapters = null)
        : this(name, model, loop, adapters ?? (_ => null), [])
    {
    }

    private GemmaChatClient(string name, GemmaModel model, RequestLoop loop, Func<string, LoraAdapter?> adapters, IReadOnlyList<IDisposable> owned)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(loop);
        (_named, _owned) = (new NamedModel(name, model, loop, adapters), owned);
        _metadata = new ChatClientMetadata(AnswerTelemetry.ProviderName, null, name);
        Prompts = model.Prompts;
    }

    /// <summary>The way in, with its limits on pictures.</summary>
    public PromptEncoder Prompts { get; init; }

    /// <summary>The same model as a generator of embeddings of texts.</summary>
    public IEmbeddingGenerator<string, Embedding<float>> TextEmbeddings => Embeddings();

    /// <summary>The same model as a generator of embeddings of pictures.</summary>
    public IEmbeddingGenerator<DataContent, Embedding<float>> ImageEmbeddings => Embeddings();

    /// <summary>Loads a model folder and answers with it; disposing the client gives everything back.</summary>
    /// <param name="folder">A Hugging Face model folder.</param>
    /// <param name="adapters">Adapter folders by the names that <see cref="ChatOptions.ModelId"/> may have; null for none.</param>
    /// <param name="device">Where to compute, e.g. <c>CudaDevice.Open()</c>, owned from now on; null for the CPU.</param>
    /// <param name="limits">What may be under way at a time; null for the usual.</param>
    /// <exception cref="Checkpoints.CheckpointException">Weights, configuration or an adapter are not usable.</exception>
    /// <exception cref="InputException">Tokenizer, template or preprocessing files are not usable.</exception>
    public static GemmaChatClient Load(string folder, IReadOnlyDictionary<string, string>? adapters = null, Device? device = null, BatchLimits? limits = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        GemmaModel model = GemmaModel.Load(folder, device ?? new CpuDevice());
        try
        {
            Dictionary<string, LoraAdapter> loaded = (adapters ?? new Dictionary<string, string>()).ToDictionary(pair => pair.Key, pair => model.LoadChoice(pair.Value), StringComparer.Ordinal);
            // What a conversation begins with is kept for its next question.
            var loop = new RequestLoop(model, limits ?? new BatchLimits { KeepsPrefixes = true }, long.MaxValue);
            string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
            return new GemmaChatClient(name, model, loop, loaded.GetValueOrDefault, [loop, model]);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Answers a conversation.</summary>
    /// <param name="messages">System first if at all, then user and assistant in turn.</param>
    /// <param name="options">How to answer; read, never changed.</param>
    /// <param name="cancellationToken">Ends the answer before its next token.</param>
    /// <exception cref="InputException">The conversation cannot be put to the model: order of roles, a damaged picture, too long.</exception>
    /// <exception cref="NotSupportedException">An option or content that is not honoured; the message names it.</exception>
    /// <exception cref="ArgumentException">An option's value makes no sense, or there is no model of that name.</exception>
    /// <exception cref="QueueFullException">Too much is waiting.</exception>
    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        using Answer answer = await BeginAsync(messages, options, streams: false, cancellationToken).ConfigureAwait(false);
        GenerationResult result = await answer.EndAsync(cancellationToken).ConfigureAwait(false);
        (string text, IReadOnlyList<ToolCall> calls) = answer.Reader.Read(result.Answer);
        return new ChatResponse(new ChatMessage(ChatRole.Assistant, [.. answer.ContentsOf(result.Thought), .. ContentsOf(text, calls)]) { MessageId = answer.Id })
        {
            ResponseId = answer.Id,
            ModelId = answer.Model,
            CreatedAt = answer.Created,
            FinishReason = ReasonOf(result, calls),
            Usage = UsageOf(result),
            RawRepresentation = result,
        };
    }

    /// <summary>Answers a conversation, token by token; the last update holds the reason of the end and the usage.</summary>
    /// <inheritdoc cref="GetResponseAsync"/>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using Answer answer = await BeginAsync(messages, options, streams: true, cancellationToken).ConfigureAwait(false);
        await foreach (GeneratedToken token in answer.Pending.Tokens.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            // Text that is held back, because a stop string, a character or a call may end in it, comes with a later token.
            (string thought, string said) = answer.Thoughts.Push(token.Text);
            string text = answer.Reader.Push(said);
            List<AIContent> contents = [.. answer.ContentsOf(thought), .. ContentsOf(text, [])];
            if (contents.Count > 0) yield return answer.Update(contents, token);
        }

        GenerationResult result = await answer.EndAsync(cancellationToken).ConfigureAwait(false);
        (string lastThought, string lastSaid) = answer.Thoughts.Finish();
        string certain = answer.Reader.Push(lastSaid);
        (string rest, IReadOnlyList<ToolCall> calls) = answer.Reader.Finish();
        ChatResponseUpdate last = answer.Update([.. answer.ContentsOf(lastThought), .. ContentsOf(certain + rest, calls), new UsageContent(UsageOf(result))], result);
        last.FinishReason = ReasonOf(result, calls);
        yield return last;
    }

    /// <summary><see cref="ChatClientMetadata"/>, <see cref="GemmaModel"/>, <see cref="RequestLoop"/>, or the client itself.</summary>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null) return null;
        return ((object[])[_metadata, _named.Model, _named.Loop, this]).FirstOrDefault(serviceType.IsInstanceOfType);
    }

    /// <summary>Gives back what <see cref="Load"/> has taken; answers under way are cancelled.</summary>
    public void Dispose()
    {
        foreach (IDisposable owned in _owned) owned.Dispose();
    }

    private GemmaEmbeddingGenerator Embeddings() => new(_named.Name, _named.Model, _named.Loop, _named.Adapters) { Prompts = Prompts };

    private async Task<Answer> BeginAsync(IEnumerable<ChatMessage> messages, ChatOptions? options, bool streams, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(messages);
        if (options is not null) OptionsReader.Check(options);
        string name = options?.ModelId ?? _named.Name;
        LoraAdapter? adapter = _named.Resolve(name);
        StructuredOptions structured = options is null ? StructuredOptions.None : StructuredOptions.Read(options, _named.Model.Constraints);
        IReadOnlyList<Inputs.ChatMessage> conversation = ConversationReader.Read(messages, options?.Instructions, structured.Tools);
        // Pictures take time to prepare; the caller's thread may be one that draws a window.
        Prompt prompt = await Task.Run(() => Prompts.Encode(conversation, addGenerationPrompt: true), cancellation).ConfigureAwait(false);
        SamplingParams parameters = OptionsReader.Read(options, this, _named.Model.DefaultSampling(), _named.Model.Model.Layout.MaxPositions - prompt.Ids.Length);
        if (structured.Constraint is { } constraint) parameters = parameters with { Constraint = constraint };
        string id = "chatcmpl-" + Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture);
        AnswerTelemetry telemetry = AnswerTelemetry.Begin("chat", name, id, parameters, choices: 1, streams, isClient: true);
        var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        try
        {
            PendingAnswer pending = _named.Loop.Submit(new GenerationRequest(prompt, parameters) { Adapter = adapter }, leaving.Token);
            return new Answer(id, name, pending, structured, telemetry, leaving, options?.Reasoning?.Output != ReasoningOutput.None);
        }
        catch (Exception error)
        {
            telemetry.Fail(error);
            telemetry.Dispose();
            leaving.Dispose();
            throw;
        }
    }

    private static List<AIContent> ContentsOf(string text, IReadOnlyList<ToolCall> calls)
    {
        List<AIContent> contents = text.Length > 0 ? [new TextContent(text)] : [];
        foreach (ToolCall call in calls)
            contents.Add(FunctionCallContent.CreateFromParsedArguments(call.Arguments, $"call_{Guid.NewGuid():N}", call.Name, json => (IDictionary<string, object?>?)JsonSerializer.Deserialize(json, ArgumentsType)));
        return contents;
    }

    private static ChatFinishReason ReasonOf(GenerationResult result, IReadOnlyList<ToolCall> calls)
    {
        if (calls.Count > 0) return ChatFinishReason.ToolCalls;
        return result.FinishReason == FinishReason.Stop ? ChatFinishReason.Stop : ChatFinishReason.Length;
    }

    private static ToolAnswerReader ReaderOf(StructuredOptions structured) => new(structured.Tools, structured.MustCall, structured.Parallel);

    private static UsageDetails UsageOf(GenerationResult result) => new()
    {
        InputTokenCount = result.PromptTokenCount,
        OutputTokenCount = result.Tokens.Count,
        TotalTokenCount = result.PromptTokenCount + result.Tokens.Count,
        CachedInputTokenCount = result.CachedTokenCount,
        ReasoningTokenCount = result.ThoughtTokenCount,
        AdditionalCounts = result.ImageTokenCount > 0 ? new() { ["InputImageTokenCount"] = result.ImageTokenCount } : null,
    };

    /// <summary>An answer with a reader; without one it ends.</summary>
    private sealed class Answer(
        string id, string model, PendingAnswer pending, StructuredOptions structured, AnswerTelemetry telemetry, CancellationTokenSource leaving, bool showsThoughts) : IDisposable
    {
        public string Id { get; } = id;

        public string Model { get; } = model;

        public PendingAnswer Pending { get; } = pending;

        public ToolAnswerReader Reader { get; } = ReaderOf(structured);

        public ThoughtReader Thoughts { get; } = new();

        public IEnumerable<AIContent> ContentsOf(string thought) => showsThoughts && thought.Length > 0 ? [new TextReasoningContent(thought)] : [];

        public DateTimeOffset Created { get; } = DateTimeOffset.UtcNow;

        public async Task<GenerationResult> EndAsync(CancellationToken cancellation)
        {
            GenerationResult result = await Pending.Result.ConfigureAwait(false);
            cancellation.ThrowIfCancellationRequested();
            // The caller has not cancelled: whoever owns the loop has.
            if (result.FinishReason == FinishReason.Cancelled) throw new OperationCanceledException("The model is shutting down");
            return result;
        }

        public ChatResponseUpdate Update(IList<AIContent> contents, object raw) => new(ChatRole.Assistant, contents)
        {
            ResponseId = Id,
            MessageId = Id,
            ModelId = Model,
            CreatedAt = Created,
            RawRepresentation = raw,
        };

        public void Dispose()
        {
            telemetry.End([Pending], result => ReasonOf(result, ReaderOf(structured).Read(result.Answer).Calls).Value);
            telemetry.Dispose();
            leaving.Cancel();
            leaving.Dispose();
        }
    }
}
