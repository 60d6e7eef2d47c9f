using GemmaCore.Inputs;
using GemmaCore.Models.Lora;

namespace GemmaCore.Generation;

/// <summary>Tokens that an answer begins with, given instead of chosen, and tokens that could be next: what is asked for is how likely they are.</summary>
/// <param name="Forced">How the answer begins; may be empty.</param>
/// <param name="Candidates">What could come then; at least one.</param>
internal sealed record Scoring(int[] Forced, int[] Candidates);

/// <summary>Asks for the prompt as a vector.</summary>
/// <param name="SkippedTokens">Tokens at its beginning that do not count.</param>
internal sealed record EmbeddingRequest(int SkippedTokens);

/// <summary>A prompt and how to answer it.</summary>
/// <param name="Prompt">What goes in.</param>
/// <param name="Parameters">How tokens are chosen and when the answer ends.</param>
public sealed record GenerationRequest(Prompt Prompt, SamplingParams Parameters)
{
    /// <summary>An adapter loaded to be chosen (<see cref="LoraAdapter.LoadChoice"/>), or null for the model as it is.</summary>
    public LoraAdapter? Adapter { get; init; }

    /// <summary>Instead of an answer: how likely some are; null for an answer. The parameters then only bound the tokens.</summary>
    internal Scoring? Scoring { get; init; }

    /// <summary>Whether likelihoods are asked for instead of an answer (<see cref="LabelScores.Requests"/>): the result's tokens are then nobody's answer.</summary>
    public bool IsScoring => Scoring is not null;

    /// <summary>Instead of an answer: the prompt as a vector (<see cref="Embeddings.Request"/>); null for an answer.</summary>
    internal EmbeddingRequest? Embedding { get; init; }

    /// <summary>Whose request it is: while requests wait, tenants are served in turns by the tokens they take.</summary>
    public string Tenant { get; init; } = "";

    /// <summary>Prompts share what has been computed of them only within one tenant, and there only with the same salt.</summary>
    public string CacheSalt { get; init; } = "";

    /// <summary>Tokens that the request can take at most.</summary>
    public long TokenCount => (long)Prompt.Ids.Length + Parameters.MaxTokens;
}
