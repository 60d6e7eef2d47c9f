using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// Product of activations and a frozen matrix of 8-bit rows, y = x·wᵀ + b: weights are dequantised in fp32 (code · magnitude / 127) where they are used, then
/// the arithmetic is that of <see cref="Matmul"/>. Activations are not rounded.
/// </summary>
/// <remarks>Costs 2·T·O·K operations; moves one byte for every weight.</remarks>
public static partial class MatmulInt8
{
    /// <summary>Multiplies by a matrix stored [out, in].</summary>
    /// <param name="x">[…, K] f32; the outer dimensions count as T rows. Not needed for backward.</param>
    /// <param name="w">[O, K].</param>
    /// <param name="bias">[O] f32, or default for none.</param>
    /// <param name="y">[…, O] f32 of T rows; overwritten; must not overlap x.</param>
    /// <param name="tape">Null in inference.</param>
    /// <exception cref="ShapeException">Sizes or element types do not fit together.</exception>
    public static void Forward(TensorView x, Int8Matrix w, TensorView bias, TensorView y, Tape? tape)
    {
        ArgumentNullException.ThrowIfNull(w);
        w.Multiply(x, bias, y, tape);
    }

    /// <summary>Multiplies by a matrix stored [in, out]: y = x·w. Nothing is recorded.</summary>
    /// <param name="x">[…, O] f32; the outer dimensions count as T rows.</param>
    /// <param name="w">[O, K].</param>
    /// <param name="y">[…, K] f32 of T rows; overwritten; must not overlap x.</param>
    /// <exception cref="ShapeException">Sizes or element types do not fit together.</exception>
    public static void ForwardInOut(TensorView x, Int8Matrix w, TensorView y)
    {
        ArgumentNullException.ThrowIfNull(w);
        w.MultiplyInOut(x, y);
    }
}
