using System.Runtime.InteropServices;
using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>A weight matrix of signed 8-bit codes with a scale for every <see cref="Int8Group.Size"/> inputs: finer than rows where a row has outliers.</summary>
public sealed class Int8GroupMatrix : QuantizedMatrix
{
    private static readonly ProductNames Names = new("MatmulInt8Group", "matmul_int8_group");

    /// <summary>A matrix over borrowed storage.</summary>
    /// <param name="codes">[O, K] i8.</param>
    /// <param name="scales">[O, ⌈K/128⌉] f16: what a code of one stands for.</param>
    /// <exception cref="ShapeException">The parts do not fit together.</exception>
    public Int8GroupMatrix(TensorView codes, TensorView scales)
        : base(codes.Shape, Names)
    {
        Require.That(codes.DType == DType.I8 && codes.Shape.Rank == 2, "Int8GroupMatrix", $"codes must be i8[O, K], got {codes}");
        var expected = new Shape(codes.Shape[0], Int8Group.Count(codes.Shape[1]));
        Require.That(scales.DType == DType.F16 && scales.Shape == expected, "Int8GroupMatrix", $"scales must be f16{expected}, got {scales}");
        (Codes, Scales) = (codes, scales);
    }

    /// <summary>[O, K] i8.</summary>
    public override TensorView Codes { get; }

    /// <summary>[O, ⌈K/128⌉] f16.</summary>
    public TensorView Scales { get; }

    /// <inheritdoc/>
    public override string Format => "int8-128";

    /// <inheritdoc/>
    public override long ByteCount => Codes.ByteCount + Scales.ByteCount;

    /// <inheritdoc/>
    public override float[] ToFloats()
    {
        byte[] codes = CodesOnHost();
        ReadOnlySpan<Half> scales = MemoryMarshal.Cast<byte, Half>(MagnitudesOnHost());
        int columns = Shape[1], groups = Int8Group.Count(columns);
        var values = new float[Shape.ElementCount];
        for (int i = 0; i < values.Length; i++) values[i] = (sbyte)codes[i] * (float)scales[i / columns * groups + i % columns / Int8Group.Size];
        return values;
    }

    private protected override CodeKernels Kernels => CodeKernels.Int8Group;

    internal override CodeScales CodeScales => new(Scales);

    private protected override TensorView Magnitudes => Scales;

    private protected override void ForwardCpu(CpuDevice cpu, TensorView x, TensorView bias, TensorView y) => MatmulInt8Group.ForwardCpu(cpu, x, this, bias, y);

    private protected override void BackwardCpu(CpuDevice cpu, TensorView dY, TensorView dX, bool accumulate) => MatmulInt8Group.BackwardCpu(cpu, dY, this, dX, accumulate);

    private protected override TensorView Dequantize(CudaDevice cuda) => MatmulInt8Group.Dequantize(cuda, this);
}
