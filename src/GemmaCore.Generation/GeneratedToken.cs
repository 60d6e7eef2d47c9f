namespace GemmaCore.Generation;

/// <summary>Why an answer ended.</summary>
public enum FinishReason
{
    /// <summary>A stop id or stop string.</summary>
    Stop,

    /// <summary>The token limit, or the end of the model's positions.</summary>
    Length,

    /// <summary>The caller cancelled.</summary>
    Cancelled,
}

/// <summary>A token and its natural log-probability under the model's raw logits.</summary>
/// <param name="Id">Token id.</param>
/// <param name="Logprob">ln p.</param>
public readonly record struct TokenLogprob(int Id, float Logprob);

/// <summary>One step of an answer.</summary>
/// <param name="Id">Token id.</param>
/// <param name="Text">Text that became final with this token; often empty, never part of a character, never part of a stop string.</param>
/// <param name="Logprob">ln p of the token; NaN when no log-probabilities were asked for.</param>
/// <param name="Top">The most likely tokens, best first; empty when none were asked for.</param>
public readonly record struct GeneratedToken(int Id, string Text, float Logprob, IReadOnlyList<TokenLogprob> Top);

/// <summary>A whole answer.</summary>
/// <param name="Text">The text, without stop tokens and stop strings.</param>
/// <param name="Tokens">Every generated token, the stop token included.</param>
/// <param name="FinishReason">Why it ended.</param>
/// <param name="PromptTokenCount">Tokens of the prompt, image tokens included.</param>
/// <param name="ImageTokenCount">Image tokens of the prompt.</param>
/// <param name="PrefillSeconds">From the start (after any waiting) to the first token.</param>
/// <param name="DecodeSeconds">From there to the end.</param>
public sealed record GenerationResult(
    string Text,
    IReadOnlyList<GeneratedToken> Tokens,
    FinishReason FinishReason,
    int PromptTokenCount,
    int ImageTokenCount,
    double PrefillSeconds,
    double DecodeSeconds)
{
    /// <summary>The text without what the model thought before it.</summary>
    public string Answer => ThoughtReader.Read(Text).Answer;

    /// <summary>What the model thought before it answered (<see cref="ThoughtReader"/>); empty for nothing.</summary>
    public string Thought => ThoughtReader.Read(Text).Thought;

    /// <summary>Tokens of the thought, its marks included.</summary>
    public int ThoughtTokenCount => ThoughtReader.CountTokens(Tokens);

    /// <summary>Tokens of the prompt whose keys and values were there from earlier prompts.</summary>
    public int CachedTokenCount { get; init; }

    /// <summary>The prompt as a vector of length 1, [D], where that was asked for (<see cref="Embeddings"/>); there are no tokens then.</summary>
    public IReadOnlyList<float>? Embedding { get; init; }

    /// <summary>Seconds from each token to the next, [tokens − 1].</summary>
    public IReadOnlyList<float> SecondsBetweenTokens { get; init; } = [];

    /// <summary>Time spent waiting for a place among the sequences under way.</summary>
    public double QueueSeconds { get; init; }
}
