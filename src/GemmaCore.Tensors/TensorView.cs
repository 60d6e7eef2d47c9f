using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace GemmaCore.Tensors;

/// <summary>
/// Borrowed, contiguous, row-major tensor: an address, a shape, an element type and the device that can read it.
/// Owns nothing; the owner is a <see cref="DeviceBuffer"/>, an <see cref="Arena"/> or a mapped checkpoint file, and must outlive the view.
/// </summary>
public readonly unsafe struct TensorView
{
    private const int ChunkElements = 1 << 24;

    /// <summary>A view over memory owned elsewhere.</summary>
    public TensorView(nint pointer, Shape shape, DType dtype, Device device)
    {
        Pointer = pointer;
        Shape = shape;
        DType = dtype;
        Device = device;
    }

    /// <summary>Address of the first element, in the device's address space. Zero only for <c>default</c>.</summary>
    public nint Pointer { get; }

    /// <summary>Sizes.</summary>
    public Shape Shape { get; }

    /// <summary>Element type.</summary>
    public DType DType { get; }

    /// <summary>Device that can read the memory.</summary>
    public Device Device { get; }

    /// <summary>True for <c>default</c>: no tensor (an absent bias, for example).</summary>
    public bool IsEmpty => Pointer == 0;

    /// <summary>Bytes covered.</summary>
    public long ByteCount => Shape.ElementCount * DType.Size();

    /// <summary>The memory as floats. CPU only; <see cref="DType.F32"/> only.</summary>
    public float* Floats => DType == DType.F32 && Device is CpuDevice ? (float*)Pointer : throw Mismatch("Floats", DType.F32);

    /// <summary>The memory as 32-bit integers. CPU only; <see cref="DType.I32"/> only.</summary>
    public int* Ints => DType == DType.I32 && Device is CpuDevice ? (int*)Pointer : throw Mismatch("Ints", DType.I32);

    /// <summary>The memory as a span. CPU only; <typeparamref name="T"/> must have the element's size.</summary>
    public Span<T> AsSpan<T>() where T : unmanaged
    {
        if (Device is not CpuDevice) throw new ShapeException($"AsSpan: {this} is not in host memory");
        if (sizeof(T) != DType.Size()) throw new ShapeException($"AsSpan<{typeof(T).Name}>: {this} has elements of {DType.Size()} bytes");
        return new Span<T>((void*)Pointer, checked((int)Shape.ElementCount));
    }

    /// <summary>Rows [start, start+count) of the outermost dimension.</summary>
    public TensorView Slice(int start, int count)
    {
        int rows = Shape[0];
        if ((uint)start > (uint)rows || (uint)count > (uint)(rows - start))
            throw new ShapeException($"Slice: rows {start}..{(long)start + count} are not within {this}");
        Shape shape = Shape.Rank switch
        {
            1 => new Shape(count),
            2 => new Shape(count, Shape[1]),
            3 => new Shape(count, Shape[1], Shape[2]),
            _ => new Shape(count, Shape[1], Shape[2], Shape[3]),
        };
        long rowBytes = rows == 0 ? 0 : ByteCount / rows;
        return new TensorView(Pointer + (nint)(start * rowBytes), shape, DType, Device);
    }

    /// <summary>The same elements under another shape of equal element count.</summary>
    public TensorView Reshape(Shape shape) => shape.ElementCount == Shape.ElementCount
        ? new TensorView(Pointer, shape, DType, Device)
        : throw new ShapeException($"Reshape: {this} cannot be seen as {shape}");

    /// <summary>A host copy of the elements as floats; F16 and BF16 are widened exactly.</summary>
    public float[] ToFloats()
    {
        if (!DType.IsFloat()) throw Mismatch("ToFloats", DType.F32);
        var result = new float[Shape.ElementCount];
        byte[] bytes = new byte[(int)Math.Min(ByteCount, ChunkElements * DType.Size())];
        // In parts: the bytes of a large tensor are more than a span can cover.
        for (int at = 0; at < result.Length; at += ChunkElements)
        {
            Span<float> part = result.AsSpan(at, Math.Min(ChunkElements, result.Length - at));
            Span<byte> copy = bytes.AsSpan(0, part.Length * DType.Size());
            Device.CopyToHost(new TensorView(Pointer + (nint)((long)at * DType.Size()), new Shape(part.Length), DType, Device), copy);
            switch (DType)
            {
                case DType.F32: MemoryMarshal.Cast<byte, float>(copy).CopyTo(part); break;
                case DType.BF16: Widen(MemoryMarshal.Cast<byte, ushort>(copy), part); break;
                default: WidenHalf(MemoryMarshal.Cast<byte, Half>(copy), part); break;
            }
        }

        return result;

        static void Widen(ReadOnlySpan<ushort> source, Span<float> destination)
        {
            for (int i = 0; i < source.Length; i++) destination[i] = BFloat16.ToSingle(source[i]);
        }

        static void WidenHalf(ReadOnlySpan<Half> source, Span<float> destination)
        {
            for (int i = 0; i < source.Length; i++) destination[i] = (float)source[i];
        }
    }

    /// <summary>Writes host floats into an F32 view of the same element count.</summary>
    public void CopyFrom(ReadOnlySpan<float> source)
    {
        if (DType != DType.F32) throw Mismatch("CopyFrom", DType.F32);
        Device.CopyFromHost(MemoryMarshal.AsBytes(source), this);
    }

    /// <summary>E.g. <c>bf16[17, 2560]@cpu</c>.</summary>
    public override string ToString() => IsEmpty ? "(no tensor)" : $"{DType.ToString().ToLowerInvariant()}{Shape}@{Device.Name}";

    [MethodImpl(MethodImplOptions.NoInlining)]
    private ShapeException Mismatch(string member, DType expected) =>
        new($"TensorView.{member}: expected {expected} in host memory, got {this}");
}
