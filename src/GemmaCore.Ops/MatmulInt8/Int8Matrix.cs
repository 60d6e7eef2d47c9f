using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// A weight matrix of signed 8-bit codes, each row in 127ths of its largest magnitude, as bitsandbytes stores LLM.int8 weights (arXiv:2208.07339, without the
/// path for outliers: products are those of the dequantised weights).
/// </summary>
public sealed class Int8Matrix : QuantizedMatrix
{
    private static readonly ProductNames Names = new("MatmulInt8", "matmul_int8");

    /// <summary>A matrix over borrowed storage.</summary>
    /// <param name="codes">[O, K] i8.</param>
    /// <param name="absmax">[O] f32: the largest magnitude of every row.</param>
    /// <exception cref="ShapeException">The parts do not fit together.</exception>
    public Int8Matrix(TensorView codes, TensorView absmax)
        : base(codes.Shape, Names)
    {
        Require.That(codes.DType == DType.I8 && codes.Shape.Rank == 2, "Int8Matrix", $"codes must be i8[O, K], got {codes}");
        Require.That(absmax.DType == DType.F32 && absmax.Shape.ElementCount == codes.Shape[0], "Int8Matrix", $"absmax must be f32[{codes.Shape[0]}], got {absmax}");
        (Codes, Absmax) = (codes, absmax.Reshape(new Shape(codes.Shape[0])));
    }

    /// <summary>[O, K] i8.</summary>
    public override TensorView Codes { get; }

    /// <summary>[O] f32.</summary>
    public TensorView Absmax { get; }

    /// <inheritdoc/>
    public override string Format => "int8";

    /// <inheritdoc/>
    public override long ByteCount => Codes.ByteCount + Absmax.ByteCount;

    /// <inheritdoc/>
    public override float[] ToFloats()
    {
        byte[] codes = CodesOnHost();
        float[] absmax = Absmax.ToFloats();
        var values = new float[Shape.ElementCount];
        for (int i = 0; i < values.Length; i++) values[i] = (sbyte)codes[i] * (absmax[i / Shape[1]] / Int8.Largest);
        return values;
    }

    private protected override CodeKernels Kernels => CodeKernels.Int8;

    internal override CodeScales CodeScales => new(Absmax);

    private protected override TensorView Magnitudes => default;

    private protected override void ForwardCpu(CpuDevice cpu, TensorView x, TensorView bias, TensorView y) => MatmulInt8.ForwardCpu(cpu, x, this, bias, y);

    private protected override void BackwardCpu(CpuDevice cpu, TensorView dY, TensorView dX, bool accumulate) => MatmulInt8.BackwardCpu(cpu, dY, this, dX, accumulate);

    private protected override void ForwardDense(CudaDevice cuda, TensorView x, TensorView bias, TensorView y)
    {
        if (!MatmulInt8.ForwardSlabs(cuda, x, this, bias, y)) base.ForwardDense(cuda, x, bias, y);
    }

    private protected override void BackwardDense(CudaDevice cuda, TensorView dY, TensorView dX, bool accumulate)
    {
        if (!MatmulInt8.BackwardSlabs(cuda, dY, this, dX, accumulate)) base.BackwardDense(cuda, dY, dX, accumulate);
    }

    private protected override TensorView Dequantize(CudaDevice cuda) => MatmulInt8.Dequantize(cuda, this);
}
