using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>The kernels that multiply by codes of one format as they lie in tiles.</summary>
internal sealed class CodeKernels(string format)
{
    /// <summary>Two codes a byte, magnitudes of blocks.</summary>
    public static CodeKernels Nf4 { get; } = new("NF4");

    /// <summary>8-bit codes with a magnitude for each row.</summary>
    public static CodeKernels Int8 { get; } = new("INT8");

    /// <summary>8-bit codes with a scale for each group.</summary>
    public static CodeKernels Int8Group { get; } = new("INT8_GROUP");

    /// <summary>For up to eight rows of x.</summary>
    public QuantizedRows Rows { get; } = new(format);

    /// <summary>For up to some hundred.</summary>
    public QuantizedTiles Tiles { get; } = new(format);
}

/// <summary>What codes are multiplied by, as kernels take it.</summary>
/// <param name="Plain">Magnitudes of blocks, rows or groups; default where they are nested.</param>
/// <param name="NestedCodes">8-bit codes of the magnitudes, or default.</param>
/// <param name="NestedScales">f32 scales of those, or default.</param>
/// <param name="NestedTable">[256] f32, what those mean, or default.</param>
/// <param name="Offset">Added to a nested magnitude.</param>
internal readonly record struct CodeScales(
    TensorView Plain, TensorView NestedCodes = default, TensorView NestedScales = default, TensorView NestedTable = default, float Offset = 0);
