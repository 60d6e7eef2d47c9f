using System.Runtime.ExceptionServices;
using GemmaCore.Inputs;
using GemmaCore.Models;

namespace GemmaCore.Generation;

/// <summary>
/// Answers a set of prompts together: steps of a <see cref="BatchScheduler"/> until all are answered. Nothing is padded, so lengths may differ freely, and what
/// several of them begin with (a picture that is asked about twice) is computed once.
/// </summary>
public sealed class Generator : IDisposable
{
    private readonly LanguageModel _model;
    private readonly BatchScheduler _scheduler;

    /// <summary>A generator over a loaded model.</summary>
    /// <param name="model">The model; used by one generator at a time.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="stopIds">Ids that end an answer.</param>
    public Generator(LanguageModel model, Tokenizer tokenizer, IReadOnlyCollection<int> stopIds)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(stopIds);
        _model = model;
        var limits = new BatchLimits { MaxSequences = int.MaxValue, DecodeRows = int.MaxValue, KeepsPrefixes = true };
        _scheduler = new BatchScheduler(model, tokenizer, stopIds, limits, static _ => { });
    }

    /// <summary>Answers every prompt.</summary>
    /// <param name="prompts">Prompts and how to answer each.</param>
    /// <param name="onToken">Called with the prompt's index for every token as it comes; may be null.</param>
    /// <param name="cancellation">Ends all unfinished answers after the present token.</param>
    /// <exception cref="InputException">A prompt does not fit the model's positions.</exception>
    /// <exception cref="Checkpoints.CheckpointException">The model's logits are not finite.</exception>
    public IReadOnlyList<GenerationResult> Generate(
        IReadOnlyList<(Prompt Prompt, SamplingParams Parameters)> prompts, Action<int, GeneratedToken>? onToken, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        return Run([.. prompts.Select(item => new GenerationRequest(item.Prompt, item.Parameters))], onToken, cancellation);
    }

    /// <summary>As <see cref="Generate"/>.</summary>
    internal IReadOnlyList<GenerationResult> Run(GenerationRequest[] requests, Action<int, GeneratedToken>? onToken, CancellationToken cancellation)
    {
        PromptChunks[] chunks = Cut(requests);
        try
        {
            var sequences = new List<Sequence>(requests.Length);
            foreach (GenerationRequest request in requests)
            {
                int index = sequences.Count;
                sequences.Add(_scheduler.Add(request, chunks[index], onToken is null ? null : token => onToken(index, token), cancellation));
            }

            bool worked;
            do
            {
                worked = _scheduler.Step();
                if (sequences.Find(static sequence => sequence.Failure is not null) is { } failed) ExceptionDispatchInfo.Throw(failed.Failure!);
            }
            while (worked);
            return [.. sequences.Select(sequence => sequence.Result())];
        }
        finally
        {
            _scheduler.Abandon(null);
            _scheduler.ReleaseMemory(); // and nothing is kept: before the next call an adapter may have been put on, or trained further
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _scheduler.Dispose();

    // Only what another of the prompts begins with as well is worth the memory.
    private PromptChunks[] Cut(GenerationRequest[] requests)
    {
        if (requests.Length == 1) return [PromptChunks.Of(requests[0], _model.ImageTokenId)];
        PromptChunks[] chunks = [.. requests.AsParallel().AsOrdered().Select(request => PromptChunks.WithKeys(request, _model.ImageTokenId))];
        HashSet<PrefixKey> once = [], shared = [];
        foreach (PrefixKey key in chunks.SelectMany(prompt => prompt.Keys))
            if (!once.Add(key)) shared.Add(key);
        foreach (PromptChunks prompt in chunks) prompt.KeepKeys(shared.Contains);
        return chunks;
    }
}
