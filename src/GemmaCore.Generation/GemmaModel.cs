using System.Runtime.CompilerServices;
using System.Threading.Channels;
using GemmaCore.Generation.Constraints;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;

namespace GemmaCore.Generation;

/// <summary>
/// A model folder, ready to answer: weights, tokenizer, chat template, picture preparation and generation defaults. This is the library's front
/// door; one answer (or batch) at a time, calls from several threads take turns.
/// </summary>
public sealed class GemmaModel : IDisposable
{
    private readonly SemaphoreSlim _turn = new(1);
    private readonly Device _device;
    private readonly Generator _generator;
    private readonly List<LoraAdapter> _adapters = [];
    private volatile bool _isLent, _isDisposed;
    private volatile int _holder; // managed thread that computes in its turn; 0 for none

    private GemmaModel(string folder, Device device, WeightFormat format, WeightFormat tables)
    {
        _device = device;
        Prompts = PromptEncoder.Load(folder);
        Defaults = GenerationDefaults.Load(folder, Prompts.Tokenizer);
        var variant = new ModelVariant(format, tables);
        AnswerRoom.Require(folder, device, variant);
        Model = ModelFolder.Load(folder, device, variant);
        Constraints = new ConstraintCompiler(Prompts.Tokenizer);
        _generator = new Generator(Model, Prompts.Tokenizer, [.. Defaults.StopIds]);
    }

    /// <summary>The network.</summary>
    public LanguageModel Model { get; }

    /// <summary>Tokenizer, template and picture preparation; other settings of pictures by <c>model.Prompts = model.Prompts with { … }</c>.</summary>
    public PromptEncoder Prompts { get; set; }

    /// <summary>Makes constraints for answers: regular expressions, choices, JSON schemas.</summary>
    public ConstraintCompiler Constraints { get; }

    /// <summary>What the folder's <c>generation_config.json</c> says.</summary>
    public GenerationDefaults Defaults { get; }

    /// <summary>Adapters loaded so far.</summary>
    public IReadOnlyList<LoraAdapter> Adapters => _adapters;

    /// <summary>Loads a Hugging Face model folder onto the CPU.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="threadCount">Threads to compute on; 0 for one per processor.</param>
    /// <exception cref="Checkpoints.CheckpointException">The weights or the configuration are not usable.</exception>
    /// <exception cref="InputException">Tokenizer, template or preprocessing files are not usable.</exception>
    public static GemmaModel Load(string path, int threadCount = 0) => Load(path, new CpuDevice(threadCount));

    /// <summary>Loads a Hugging Face model folder onto a device.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="device">E.g. <c>CudaDevice.Open()</c>; the model owns it from now on, also when loading fails.</param>
    /// <param name="format">How to hold the weights of linear layers; NF4 takes an eighth of fp32, int8 a quarter.</param>
    /// <param name="tables">How to hold embeddings and head: as stored, or int8.</param>
    /// <exception cref="Checkpoints.CheckpointException">The weights or the configuration are not usable, or do not fit the device.</exception>
    /// <exception cref="InputException">Tokenizer, template or preprocessing files are not usable.</exception>
    public static GemmaModel Load(string path, Device device, WeightFormat format = WeightFormat.AsStored, WeightFormat tables = WeightFormat.AsStored)
    {
        ArgumentNullException.ThrowIfNull(device);
        try
        {
            return new GemmaModel(path, device, format, tables);
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    /// <summary>Puts a PEFT adapter on the model, on top of those already there; waits for an answer that is under way.</summary>
    /// <exception cref="Checkpoints.CheckpointException">It is not usable, or for another base model.</exception>
    public LoraAdapter LoadAdapter(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        using IDisposable? turn = TurnForAdapters();
        LoraAdapter adapter = LoraAdapter.Load(folder, Model);
        _adapters.Add(adapter);
        return adapter;
    }

    /// <summary>Loads a PEFT adapter for the requests that choose it (<see cref="GenerationRequest.Adapter"/>); all others do not see it.</summary>
    /// <exception cref="Checkpoints.CheckpointException">It does not fit, or it replaces or rescales whole weights, which all requests share.</exception>
    public LoraAdapter LoadChoice(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        using IDisposable? turn = TurnForAdapters();
        LoraAdapter adapter = LoraAdapter.LoadChoice(folder, Model);
        _adapters.Add(adapter);
        return adapter;
    }

    /// <summary>Takes an adapter off the model; waits for an answer that is under way.</summary>
    public void RemoveAdapter(LoraAdapter adapter)
    {
        ArgumentNullException.ThrowIfNull(adapter);
        using IDisposable? turn = TurnForAdapters();
        if (_adapters.Remove(adapter)) adapter.Dispose();
    }

    /// <summary>The folder's own defaults as sampling parameters; greedy where it does not say to sample.</summary>
    public SamplingParams DefaultSampling() => new()
    {
        Temperature = Defaults.DoSample ? (float)Defaults.Temperature : 0,
        TopK = Defaults.DoSample ? Defaults.TopK : 0,
        TopP = Defaults.DoSample ? (float)Defaults.TopP : 1,
        MinP = Defaults.DoSample ? (float)Defaults.MinP : 0,
        RepetitionPenalty = (float)Defaults.RepetitionPenalty,
        MaxTokens = Defaults.MaxNewTokens ?? 256,
    };

    /// <summary>Answers one conversation, token by token.</summary>
    /// <param name="messages">The conversation, ending with the user's turn.</param>
    /// <param name="parameters">How to answer; null for the folder's defaults.</param>
    /// <param name="cancellation">Ends the answer; so does leaving the loop over its tokens.</param>
    /// <exception cref="InputException">The conversation cannot be asked: roles out of order, a picture that cannot be read, more tokens than the model has positions.</exception>
    /// <exception cref="OperationCanceledException">The answer was cancelled.</exception>
    public async IAsyncEnumerable<GeneratedToken> GenerateAsync(
        IReadOnlyList<ChatMessage> messages, SamplingParams? parameters = null, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        Prompt prompt = Prompts.Encode(messages, addGenerationPrompt: true);
        var tokens = Channel.CreateUnbounded<GeneratedToken>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task run = Task.Run(
            () =>
            {
                try
                {
                    Generate([(prompt, parameters ?? DefaultSampling())], (_, token) => tokens.Writer.TryWrite(token), stop.Token);
                    tokens.Writer.Complete();
                }
                catch (Exception error)
                {
                    tokens.Writer.Complete(error); // reaches the reader of the stream
                }
            },
            CancellationToken.None);
        try
        {
            await foreach (GeneratedToken token in tokens.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false)) yield return token;
        }
        finally
        {
            // Whoever leaves the loop early may dispose the model next: nothing computes with it any more by then.
            await stop.CancelAsync().ConfigureAwait(false);
            await run.ConfigureAwait(false);
        }

        cancellation.ThrowIfCancellationRequested();
    }

    /// <summary>Answers a batch of prompts; see <see cref="Generator.Generate"/>.</summary>
    public IReadOnlyList<GenerationResult> Generate(
        IReadOnlyList<(Prompt Prompt, SamplingParams Parameters)> prompts,
        Action<int, GeneratedToken>? onToken = null,
        CancellationToken cancellation = default)
    {
        using IDisposable turn = Enter(cancellation);
        return _generator.Generate(prompts, onToken, cancellation);
    }

    /// <summary>Prompts as vectors of length 1, [D] each: the mean of the last hidden states of their tokens (<see cref="Embeddings"/>).</summary>
    /// <param name="prompts">From <see cref="PromptEncoder.EncodeText"/> for texts (an empty one with pictures for those alone), or <see cref="PromptEncoder.Encode"/> for conversations.</param>
    /// <param name="adapter">An adapter loaded to be chosen, or null.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <exception cref="InputException">A prompt is empty or does not fit the model's positions.</exception>
    /// <exception cref="Checkpoints.CheckpointException">The hidden states are not finite.</exception>
    /// <exception cref="OperationCanceledException">The call was cancelled.</exception>
    public IReadOnlyList<float[]> Embed(IReadOnlyList<Prompt> prompts, LoraAdapter? adapter = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        GenerationRequest[] requests = [.. prompts.Select(prompt => Embeddings.Request(prompt, Prompts.Tokenizer) with { Adapter = adapter })];
        using IDisposable turn = Enter(cancellation);
        IReadOnlyList<GenerationResult> results = _generator.Run(requests, null, cancellation);
        cancellation.ThrowIfCancellationRequested();
        return [.. results.Select(result => result.Embedding!.ToArray())];
    }

    /// <summary>The same, on another thread.</summary>
    public Task<IReadOnlyList<float[]>> EmbedAsync(IReadOnlyList<Prompt> prompts, LoraAdapter? adapter = null, CancellationToken cancellation = default) =>
        Task.Run(() => Embed(prompts, adapter, cancellation), cancellation);

    /// <summary>How likely given labels are as answers (<see cref="LabelScores"/>), for several questions together.</summary>
    /// <returns>For every question its labels' scores, in the order of the labels.</returns>
    /// <exception cref="InputException">As for <see cref="GenerateAndScore"/>.</exception>
    /// <exception cref="OperationCanceledException">The call was cancelled.</exception>
    public IReadOnlyList<IReadOnlyList<LabelScore>> Score(
        IReadOnlyList<(Prompt Prompt, IReadOnlyList<string> Labels)> questions, bool wholeAnswer = false, CancellationToken cancellation = default)
    {
        IReadOnlyList<IReadOnlyList<LabelScore>> scores = GenerateAndScore([], questions, wholeAnswer, cancellation).Scores;
        cancellation.ThrowIfCancellationRequested();
        return scores;
    }

    /// <summary>Answers and scores together: what prompts of both begin with is computed once.</summary>
    /// <param name="prompts">To be answered.</param>
    /// <param name="questions">Prompts, up to where the answer begins, and the labels of each.</param>
    /// <param name="wholeAnswer">Whether the end of the answer counts as a part of each label.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>The answers, and for every question its labels' scores, in the order of the labels; no scores when the call was cancelled.</returns>
    /// <exception cref="InputException">Labels that cannot be scored, or a prompt that does not fit the model's positions.</exception>
    /// <exception cref="Checkpoints.CheckpointException">Logits that are not finite.</exception>
    public (IReadOnlyList<GenerationResult> Answers, IReadOnlyList<IReadOnlyList<LabelScore>> Scores) GenerateAndScore(
        IReadOnlyList<(Prompt Prompt, SamplingParams Parameters)> prompts, IReadOnlyList<(Prompt Prompt, IReadOnlyList<string> Labels)> questions, bool wholeAnswer = false,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        ArgumentNullException.ThrowIfNull(questions);
        GenerationRequest[] asked = [.. prompts.Select(item => new GenerationRequest(item.Prompt, item.Parameters))];
        LabelScores[] scores = [.. questions.Select(question => new LabelScores(Prompts, question.Prompt, question.Labels, wholeAnswer, Defaults.StopIds))];
        GenerationRequest[][] requests = [.. scores.Select(score => score.Requests.ToArray())];
        using IDisposable turn = Enter(cancellation);
        IReadOnlyList<GenerationResult> results = _generator.Run([.. asked, .. requests.SelectMany(request => request)], null, cancellation);
        GenerationResult[] answers = [.. results.Take(asked.Length)];
        if (cancellation.IsCancellationRequested) return (answers, []);
        var scored = new Queue<GenerationResult>(results.Skip(asked.Length));
        return (answers, [.. scores.Select((score, i) => score.Of([.. requests[i].Select(_ => scored.Dequeue())]))]);
    }

    /// <summary>Keeps everyone else from computing with the model until the result is disposed; who holds it loads and removes adapters between its own passes.</summary>
    internal IDisposable TakeTurn()
    {
        IDisposable turn = Enter(CancellationToken.None);
        (_isLent, _holder) = (true, 0); // from now on it may be another thread's
        return turn;
    }

    /// <summary>Frees the model once an answer that is under way has ended; whoever waits for a turn then gets an <see cref="ObjectDisposedException"/>. May be called again.</summary>
    /// <exception cref="InvalidOperationException">A <see cref="RequestLoop"/> is still answering with it.</exception>
    public void Dispose()
    {
        if (_isDisposed) return;
        if (_isLent) throw new InvalidOperationException("a RequestLoop is still answering with this model; dispose it before the model");
        RefuseReentry();
        _turn.Wait();
        try
        {
            if (_isDisposed) return;
            _isDisposed = true;
            _generator.Dispose();
            foreach (LoraAdapter adapter in _adapters) adapter.Dispose();
            Model.Dispose();
            _device.Dispose();
        }
        finally
        {
            _turn.Release(); // and not disposed: others may be waiting for it
        }
    }

    private Turn Enter(CancellationToken cancellation)
    {
        RefuseReentry();
        _turn.Wait(cancellation);
        if (_isDisposed)
        {
            _turn.Release();
            throw new ObjectDisposedException(nameof(GemmaModel));
        }

        _holder = Environment.CurrentManagedThreadId;
        return new Turn(this);
    }

    // It would wait for itself.
    private void RefuseReentry()
    {
        if (_holder == Environment.CurrentManagedThreadId) throw new InvalidOperationException("the model was called from within its own answer (onToken); do that after the answer");
    }

    private Turn? TurnForAdapters() => _isLent ? null : Enter(CancellationToken.None);

    private sealed class Turn(GemmaModel model) : IDisposable
    {
        public void Dispose()
        {
            (model._isLent, model._holder) = (false, 0);
            model._turn.Release();
        }
    }
}
