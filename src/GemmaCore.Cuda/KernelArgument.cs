using GemmaCore.Tensors;

namespace GemmaCore.Cuda;

/// <summary>One parameter of a launch: a pointer or a number of at most eight bytes. Conversions are implicit, so launches read like calls.</summary>
public readonly record struct KernelArgument
{
    // The driver reads as many of these bytes as the kernel declares; both sides are little-endian.
    private readonly ulong _bits;

    private KernelArgument(ulong bits) => _bits = bits;

    /// <summary>The view's device address; null for <c>default</c>.</summary>
    public static implicit operator KernelArgument(TensorView view) => new((ulong)view.Pointer);

    /// <summary>int.</summary>
    public static implicit operator KernelArgument(int value) => new((uint)value);

    /// <summary>int: 1 or 0.</summary>
    public static implicit operator KernelArgument(bool value) => new(value ? 1u : 0u);

    /// <summary>long long.</summary>
    public static implicit operator KernelArgument(long value) => new((ulong)value);

    /// <summary>unsigned long long.</summary>
    public static implicit operator KernelArgument(ulong value) => new(value);

    /// <summary>float.</summary>
    public static implicit operator KernelArgument(float value) => new(BitConverter.SingleToUInt32Bits(value));
}
