using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>A frozen weight matrix [O, K] in whatever form it is stored. Layers multiply by it and never ask which form that is.</summary>
/// <param name="shape">[O, K].</param>
public abstract class WeightMatrix(Shape shape)
{
    /// <summary>[O, K].</summary>
    public Shape Shape { get; } = shape;

    /// <summary>Storage format as users know it, e.g. <c>bf16</c>, <c>nf4</c>, <c>int8</c>.</summary>
    public abstract string Format { get; }

    /// <summary>Bytes of codes and scales.</summary>
    public abstract long ByteCount { get; }

    /// <summary>y = x·wᵀ + b.</summary>
    /// <param name="x">[…, K] f32; the outer dimensions count as T rows. Not needed for backward.</param>
    /// <param name="bias">[O] f32, or default for none.</param>
    /// <param name="y">[…, O] f32 of T rows; overwritten; must not overlap x.</param>
    /// <param name="tape">Null in inference.</param>
    /// <exception cref="ShapeException">Sizes or element types do not fit together.</exception>
    public abstract void Multiply(TensorView x, TensorView bias, TensorView y, Tape? tape);

    /// <summary>y = x·w: the way that gradients take back through the layer. Nothing is recorded.</summary>
    /// <param name="x">[…, O] f32; the outer dimensions count as T rows.</param>
    /// <param name="y">[…, K] f32 of T rows; overwritten; must not overlap x.</param>
    /// <exception cref="ShapeException">Sizes or element types do not fit together.</exception>
    public abstract void MultiplyInOut(TensorView x, TensorView y);

    /// <summary>A host copy of the whole matrix, row by row.</summary>
    public abstract float[] ToFloats();

    /// <inheritdoc/>
    public override string ToString() => $"{Format}{Shape}";
}

/// <summary>A weight matrix of plain elements.</summary>
/// <param name="view">[O, K] f32, bf16 or f16; borrowed.</param>
public sealed class DenseMatrix(TensorView view) : WeightMatrix(view.Shape)
{
    /// <summary>[O, K] f32, bf16 or f16.</summary>
    public TensorView View => view;

    /// <inheritdoc/>
    public override string Format => view.DType.ToString().ToLowerInvariant();

    /// <inheritdoc/>
    public override long ByteCount => view.ByteCount;

    /// <inheritdoc/>
    public override void Multiply(TensorView x, TensorView bias, TensorView y, Tape? tape) => Matmul.Forward(x, view, bias, y, tape);

    /// <inheritdoc/>
    public override void MultiplyInOut(TensorView x, TensorView y) => Matmul.ForwardInOut(x, view, y, null);

    /// <inheritdoc/>
    public override float[] ToFloats() => view.ToFloats();
}
