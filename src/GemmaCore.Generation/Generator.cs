using System.Runtime.ExceptionServices;
using GemmaCore.Inputs;
using GemmaCore.Models;

namespace GemmaCore.Generation;

/// <summary>
/// Answers a set of prompts together: steps of a <see cref="BatchScheduler"/> until all are answered. Nothing is padded, so lengths may differ freely.
/// </summary>
public sealed class Generator : IDisposable
{
    private readonly BatchScheduler _scheduler;

    /// <summary>A generator over a loaded model.</summary>
    /// <param name="model">The model; used by one generator at a time.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="stopIds">Ids that end an answer.</param>
    public Generator(LanguageModel model, Tokenizer tokenizer, IReadOnlyCollection<int> stopIds)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(stopIds);
        _scheduler = new BatchScheduler(model, tokenizer, stopIds, new BatchLimits { MaxSequences = int.MaxValue, DecodeRows = int.MaxValue }, static _ => { });
    }

    /// <summary>Answers every prompt.</summary>
    /// <param name="prompts">Prompts and how to answer each.</param>
    /// <param name="onToken">Called with the prompt's index for every token as it comes; may be null.</param>
    /// <param name="cancellation">Ends all unfinished answers after the present token.</param>
    /// <exception cref="InputException">A prompt does not fit the model's positions, or the model's logits are not finite.</exception>
    public IReadOnlyList<GenerationResult> Generate(
        IReadOnlyList<(Prompt Prompt, SamplingParams Parameters)> prompts, Action<int, GeneratedToken>? onToken, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        try
        {
            var sequences = new List<Sequence>(prompts.Count);
            foreach ((Prompt prompt, SamplingParams parameters) in prompts)
            {
                int index = sequences.Count;
                sequences.Add(_scheduler.Add(new GenerationRequest(prompt, parameters), onToken is null ? null : token => onToken(index, token), cancellation));
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
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _scheduler.Dispose();
}
