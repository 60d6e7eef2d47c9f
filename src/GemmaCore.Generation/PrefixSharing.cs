using GemmaCore.Models;
using GemmaCore.Models.Lora;

namespace GemmaCore.Generation;

/// <summary>Between a <see cref="BatchScheduler"/> and its <see cref="PrefixCache"/>: who takes over what, who waits for whom, and what is kept.</summary>
internal sealed class PrefixSharing(LanguageModel model) : IDisposable
{
    private readonly PrefixCache _cache = new();
    private readonly HashSet<PrefixKey> _claimed = [];

    /// <summary>Memory of what is kept.</summary>
    public long Bytes => _cache.Bytes;

    /// <summary>Tokens of prompts that were taken over.</summary>
    public long Hits { get; private set; }

    /// <summary>Gives up what has not been used for the longest time; false when nothing is kept.</summary>
    public bool ForgetOldest() => _cache.ForgetOldest();

    /// <summary>Gives up everything.</summary>
    public void ForgetAll()
    {
        while (_cache.ForgetOldest())
        {
        }
    }

    /// <summary>Gives up what an adapter has computed.</summary>
    public void Forget(LoraAdapter adapter) => _cache.Forget(adapter);

    /// <summary>Lets sequences take over what is there. A part that several need is computed by the first of them, while the others are held.</summary>
    public void TakeOver(IReadOnlyList<Sequence> sequences)
    {
        _claimed.Clear();
        foreach (Sequence sequence in sequences)
        {
            sequence.IsHeld = false;
            while (sequence.Chunks.KeyFrom(sequence.Cache!.Length) is { } key)
            {
                // Not by one who has seen pictures already: those would be seen for nothing, and their features would have to be counted off.
                if (sequence.Features is null && _cache.Find(key) is { } segment)
                {
                    if (!sequence.WasPreempted) Hits += segment.End - segment.Start;
                    sequence.TakeOver(segment, model.TokensPerImage);
                    continue;
                }

                sequence.IsHeld = sequence.Features is null && !_claimed.Add(key);
                break;
            }
        }
    }

    /// <summary>Keeps the chunk that a sequence has just computed, if there is use for it: its pages, which are the sequence's own until it goes.</summary>
    /// <param name="sequence">The sequence.</param>
    /// <param name="start">Where the chunk began.</param>
    public void Keep(Sequence sequence, int start)
    {
        if (sequence.Failure is not null || sequence.Chunks.KeyFrom(start) is not { } key || _cache.Contains(key)) return;
        PrefixKey? before = sequence.Chunks.KeyBefore(start);
        // If what is in front of it is gone, nobody would find this one.
        if (before is { } front && !_cache.Contains(front)) return;
        _cache.Add(key, before, sequence.Cache!.Keep(start));
    }

    /// <inheritdoc/>
    public void Dispose() => _cache.Dispose();
}
