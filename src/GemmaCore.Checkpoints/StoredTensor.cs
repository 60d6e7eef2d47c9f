using GemmaCore.Tensors;

namespace GemmaCore.Checkpoints;

/// <summary>What a safetensors header says about one tensor.</summary>
/// <param name="Name">Name as stored.</param>
/// <param name="StoredType">Element type as spelled in the file, e.g. <c>BF16</c>.</param>
/// <param name="DType">The same as a type GemmaCore can view; null for others, which can be listed but not read.</param>
/// <param name="Sizes">Dimensions as stored.</param>
/// <param name="Begin">First byte, counted from the start of the data section.</param>
/// <param name="End">One past the last byte.</param>
public sealed record StoredTensor(string Name, string StoredType, DType? DType, IReadOnlyList<long> Sizes, long Begin, long End)
{
    /// <summary>Sizes as text, e.g. <c>[17, 2560]</c>.</summary>
    public string ShapeText => "[" + string.Join(", ", Sizes) + "]";

    /// <summary>Number of elements.</summary>
    public long ElementCount => Sizes.Aggregate(1L, (product, size) => product * size);
}
