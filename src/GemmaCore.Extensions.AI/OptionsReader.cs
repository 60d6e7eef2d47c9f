using GemmaCore.Generation;
using Microsoft.Extensions.AI;

namespace GemmaCore.Extensions.AI;

/// <summary>
/// <see cref="ChatOptions"/> as sampling parameters. Every option is honoured or refused by its name; the caller's object is only read.
/// What these options have no name for comes as <see cref="SamplingParams"/> from <see cref="ChatOptions.RawRepresentationFactory"/>.
/// </summary>
internal static class OptionsReader
{
    /// <param name="options">The caller's; null for none.</param>
    /// <param name="client">Whom the factory is asked for.</param>
    /// <param name="defaults">The model's own.</param>
    /// <param name="room">Tokens that the model's positions leave for the answer.</param>
    /// <exception cref="NotSupportedException">An option that cannot be honoured.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A value that makes no sense.</exception>
    public static SamplingParams Read(ChatOptions? options, IChatClient client, SamplingParams defaults, int room)
    {
        SamplingParams start = defaults with { MaxTokens = Math.Max(1, Math.Min(defaults.MaxTokens, room)), Seed = (ulong)Random.Shared.NextInt64() };
        if (options is null) return start;
        if (options.RawRepresentationFactory?.Invoke(client) is { } raw)
            start = raw as SamplingParams ?? throw Unsupported(nameof(options.RawRepresentationFactory), $"it gave {raw.GetType().Name}; expected {nameof(SamplingParams)}");
        SamplingParams read = start with
        {
            MaxTokens = options.MaxOutputTokens ?? start.MaxTokens,
            Temperature = options.Temperature ?? start.Temperature,
            TopP = options.TopP ?? start.TopP,
            TopK = options.TopK ?? start.TopK,
            FrequencyPenalty = options.FrequencyPenalty ?? start.FrequencyPenalty,
            PresencePenalty = options.PresencePenalty ?? start.PresencePenalty,
            Seed = options.Seed is { } seed ? unchecked((ulong)seed) : start.Seed,
            Stop = options.StopSequences is { Count: > 0 } stops ? [.. stops] : start.Stop,
        };
        read.Validate();
        return read;
    }

    /// <summary>Refuses what cannot be honoured, before anything is computed.</summary>
    /// <exception cref="NotSupportedException">An option that cannot be honoured.</exception>
    public static void Check(ChatOptions options)
    {
        if (options.ConversationId is not null) throw Unsupported(nameof(options.ConversationId), "no conversation is kept: pass its messages");
        if (options.ContinuationToken is not null) throw Unsupported(nameof(options.ContinuationToken), "an answer is not kept: ask again");
        if (options.AllowBackgroundResponses is true) throw Unsupported(nameof(options.AllowBackgroundResponses), "an answer ends with its caller: wait for it");
        if (options.Reasoning is { Effort: not (null or ReasoningEffort.None) }) throw Unsupported(nameof(options.Reasoning), "how much the model thinks is its own affair: leave Effort out");
        if (options.Reasoning is { Output: ReasoningOutput.Summary }) throw Unsupported(nameof(options.Reasoning), "a thought is given whole or not at all: ask for Output Full or None");
        if (options.AdditionalProperties is { Count: > 0 } others)
            throw Unsupported($"{nameof(options.AdditionalProperties)}['{others.First().Key}']", $"more settings come as {nameof(SamplingParams)} from {nameof(options.RawRepresentationFactory)}");
    }

    /// <summary>An option that is not honoured, and what to do instead.</summary>
    public static NotSupportedException Unsupported(string name, string remedy) => new($"{nameof(ChatOptions)}.{name} is not supported: {remedy}");
}
