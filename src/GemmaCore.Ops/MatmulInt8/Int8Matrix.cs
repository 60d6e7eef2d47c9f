using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// A weight matrix of signed 8-bit codes, each row in 127ths of its largest magnitude, as bitsandbytes stores LLM.int8 weights (arXiv:2208.07339, without the
/// path for outliers: products are those of the dequantised weights).
/// </summary>
public sealed class Int8Matrix : WeightMatrix
{
    /// <summary>A matrix over borrowed storage.</summary>
    /// <param name="codes">[O, K] i8.</param>
    /// <param name="absmax">[O] f32: the largest magnitude of every row.</param>
    /// <exception cref="ShapeException">The parts do not fit together.</exception>
    public Int8Matrix(TensorView codes, TensorView absmax)
        : base(codes.Shape)
    {
        Require.That(codes.DType == DType.I8 && codes.Shape.Rank == 2, "Int8Matrix", $"codes must be i8[O, K], got {codes}");
        Require.That(absmax.DType == DType.F32 && absmax.Shape.ElementCount == codes.Shape[0], "Int8Matrix", $"absmax must be f32[{codes.Shape[0]}], got {absmax}");
        (Codes, Absmax) = (codes, absmax);
    }

    /// <summary>[O, K] i8.</summary>
    public TensorView Codes { get; }

    /// <summary>[O] f32.</summary>
    public TensorView Absmax { get; }

    /// <inheritdoc/>
    public override string Format => "int8";

    /// <inheritdoc/>
    public override long ByteCount => Codes.ByteCount + Absmax.ByteCount;

    /// <inheritdoc/>
    public override void Multiply(TensorView x, TensorView bias, TensorView y, Tape? tape) => MatmulInt8.Forward(x, this, bias, y, tape);

    /// <inheritdoc/>
    public override void MultiplyInOut(TensorView x, TensorView y) => MatmulInt8.ForwardInOut(x, this, y);

    /// <inheritdoc/>
    public override float[] ToFloats()
    {
        byte[] codes = new byte[Codes.ByteCount];
        Codes.Device.CopyToHost(Codes, codes);
        float[] absmax = Absmax.ToFloats();
        var values = new float[Shape.ElementCount];
        for (int i = 0; i < values.Length; i++) values[i] = (sbyte)codes[i] * (absmax[i / Shape[1]] / Int8.Largest);
        return values;
    }
}
