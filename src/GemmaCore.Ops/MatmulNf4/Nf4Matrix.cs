using System.Runtime.InteropServices;
using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// A weight matrix in NF4 (arXiv:2305.14314): blocks of <see cref="Nf4.BlockSize"/> consecutive elements share the largest magnitude, each element is one of
/// sixteen fractions of it. Stored as bitsandbytes does: two codes a byte, the first element in the upper half; magnitudes in f32, or "double quantised"
/// as 8-bit codes of what they differ from their mean, 256 blocks to a scale.
/// </summary>
/// <remarks>Blocks run on over the ends of rows when K is no multiple of the block.</remarks>
public sealed class Nf4Matrix : QuantizedMatrix
{
    private static readonly ProductNames Names = new("MatmulNf4", "matmul_nf4");

    /// <summary>A matrix over borrowed storage.</summary>
    /// <param name="shape">[O, K].</param>
    /// <param name="codes">[⌈O·K/2⌉] u8.</param>
    /// <param name="absmax">Magnitudes of the blocks.</param>
    /// <exception cref="ShapeException">The parts do not fit together.</exception>
    public Nf4Matrix(Shape shape, TensorView codes, Nf4Absmax absmax)
        : base(shape, Names)
    {
        ArgumentNullException.ThrowIfNull(absmax);
        long count = shape.ElementCount, bytes = (count + 1) / 2, blocks = Nf4.BlockCount(count);
        Require.That(shape.Rank == 2, "Nf4Matrix", $"a weight matrix has two dimensions, got {shape}");
        Require.That(codes.DType == DType.U8 && codes.Shape.ElementCount == bytes, "Nf4Matrix", $"codes of {shape} must be {bytes} bytes, got {codes}");
        Require.That(absmax.BlockCount == blocks, "Nf4Matrix", $"{shape} has {blocks} blocks of {Nf4.BlockSize}, got {absmax.BlockCount} magnitudes");
        Codes = codes.Reshape(new Shape(checked((int)bytes)));
        Absmax = absmax;
    }

    /// <summary>[⌈O·K/2⌉] u8.</summary>
    public override TensorView Codes { get; }

    /// <summary>Magnitudes of the blocks.</summary>
    public Nf4Absmax Absmax { get; }

    /// <inheritdoc/>
    public override string Format => "nf4";

    /// <inheritdoc/>
    public override long ByteCount => Codes.ByteCount + Absmax.ByteCount;

    /// <inheritdoc/>
    public override float[] ToFloats()
    {
        var values = new float[Shape.ElementCount];
        Nf4.Dequantize(CodesOnHost(), Absmax.Widen(MagnitudesOnHost()), values);
        return values;
    }

    private protected override CodeKernels Kernels => CodeKernels.Nf4;

    internal override CodeScales CodeScales => Absmax.IsNested ? new CodeScales(default, Absmax.Values, Absmax.Scales, Absmax.CodeTable, Absmax.Offset) : new CodeScales(Absmax.Values);

    private protected override TensorView Magnitudes => Absmax.Values;

    private protected override void ForwardCpu(CpuDevice cpu, TensorView x, TensorView bias, TensorView y) => MatmulNf4.ForwardCpu(cpu, x, this, bias, y);

    private protected override void BackwardCpu(CpuDevice cpu, TensorView dY, TensorView dX, bool accumulate) => MatmulNf4.BackwardCpu(cpu, dY, this, dX, accumulate);

    private protected override TensorView Dequantize(CudaDevice cuda) => MatmulNf4.Dequantize(cuda, this);
}

/// <summary>The magnitudes of NF4 blocks: f32, or 8-bit codes with a scale for every <see cref="Nf4.NestedBlockSize"/> of them and one offset.</summary>
/// <param name="Values">[blocks] f32, or u8 codes.</param>
/// <param name="Scales">[⌈blocks/256⌉] f32 of the codes; default for f32 magnitudes.</param>
/// <param name="CodeTable">[256] f32, ascending: what the codes mean; default for f32 magnitudes.</param>
/// <param name="Offset">Added to code · scale.</param>
public sealed record Nf4Absmax(TensorView Values, TensorView Scales = default, TensorView CodeTable = default, float Offset = 0)
{
    /// <summary>True when the magnitudes are themselves quantised.</summary>
    public bool IsNested => Values.DType == DType.U8;

    /// <summary>Number of blocks.</summary>
    public long BlockCount => Values.Shape.ElementCount;

    /// <summary>Bytes of codes, scales and table.</summary>
    public long ByteCount => Values.ByteCount + (IsNested ? Scales.ByteCount + CodeTable.ByteCount : 0);

    /// <summary>What a host copy of <see cref="Values"/> stands for.</summary>
    /// <param name="codes">The bytes of all, row after row.</param>
    internal float[] Widen(byte[] codes)
    {
        if (!IsNested) return [.. MemoryMarshal.Cast<byte, float>(codes)];
        float[] scales = Scales.ToFloats(), table = CodeTable.ToFloats();
        var values = new float[codes.Length];
        for (int i = 0; i < values.Length; i++) values[i] = table[codes[i]] * scales[i / Nf4.NestedBlockSize] + Offset;
        return values;
    }
}
