using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// A moment of AdamW in 8 bits (arXiv:2110.02861): blocks of <see cref="BlockSize"/> consecutive elements share their largest magnitude, each element is a value
/// of a <see cref="DynamicMap"/> times it. All zero bytes stand for zero.
/// </summary>
/// <param name="Codes">u8, shaped like the parameter.</param>
/// <param name="Absmax">[⌈n/256⌉] f32, magnitudes of the blocks.</param>
/// <param name="Map">[256] f32: what the codes mean.</param>
public readonly record struct QuantizedMoment(TensorView Codes, TensorView Absmax, TensorView Map)
{
    /// <summary>Consecutive elements that share a magnitude.</summary>
    public const int BlockSize = 256;

    /// <summary>Blocks of <paramref name="elements"/> elements; the last may be short.</summary>
    public static int BlockCount(long elements) => checked((int)((elements + BlockSize - 1) / BlockSize));

    /// <summary>Refuses parts that do not fit together or not to the parameter.</summary>
    internal void Check(string operation, string name, TensorView parameter)
    {
        Require.That(!Codes.IsEmpty && Codes.DType == DType.U8 && Codes.Shape == parameter.Shape, operation, $"codes of {name} must be u8{parameter.Shape}, got {Codes}");
        Require.Shape(operation, $"absmax of {name}", Absmax, new Shape(BlockCount(parameter.Shape.ElementCount)));
        Require.Shape(operation, $"map of {name}", Map, new Shape(DynamicMap.Count));
    }
}
