namespace GemmaCore.Inputs;

/// <summary>Where a LLaMA tokenizer puts the space that stands before a sentence.</summary>
internal enum SpacePrefix
{
    /// <summary>Nowhere: Gemma.</summary>
    None,

    /// <summary>Before the text, unless an added token opens it.</summary>
    FirstSegment,

    /// <summary>Before the text and after every added token.</summary>
    EverySegment,
}

/// <summary>All that a tokenizer file says, whatever its format.</summary>
internal sealed class TokenizerDefinition
{
    /// <summary>The file it came from, for messages.</summary>
    public required string File { get; init; }

    /// <summary>Text of each id; null where an id is unused.</summary>
    public required string?[] Pieces { get; init; }

    /// <summary>Id of each text.</summary>
    public required Dictionary<string, int> Ids { get; init; }

    public required MergeTable Merges { get; init; }

    public required IReadOnlyList<AddedToken> AddedTokens { get; init; }

    /// <summary>Characters outside the vocabulary become the tokens of their UTF-8 bytes.</summary>
    public required bool ByteFallback { get; init; }

    /// <summary>Neighbouring unknown characters become one unknown token.</summary>
    public required bool FuseUnknown { get; init; }

    public required SpacePrefix Prefix { get; init; }

    /// <summary>Decoding drops one leading space (the counterpart of a prefix).</summary>
    public required bool StripsLeadingSpace { get; init; }

    /// <summary>-1 when there is none.</summary>
    public required int UnknownId { get; init; }

    public required int BosId { get; init; }

    public required int EosId { get; init; }

    public required int PadId { get; init; }
}
