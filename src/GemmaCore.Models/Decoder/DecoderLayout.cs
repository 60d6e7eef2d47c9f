namespace GemmaCore.Models.Decoder;

/// <summary>Sizes of a decoder and what kind of layer stands where, the same for every family.</summary>
public sealed record DecoderLayout
{
    /// <summary>D.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>V.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>N.</summary>
    public required int QueryHeadCount { get; init; }

    /// <summary>K.</summary>
    public required int KvHeadCount { get; init; }

    /// <summary>H.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Most positions the model was made for.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>Per layer: tokens a query sees, itself included; 0 for all.</summary>
    public required IReadOnlyList<int> Windows { get; init; }

    /// <summary>Per layer: inverse rotary frequencies, [H/2]; layers of one kind share the array.</summary>
    public required IReadOnlyList<float[]> Frequencies { get; init; }

    /// <summary>L.</summary>
    public int LayerCount => Windows.Count;
}
