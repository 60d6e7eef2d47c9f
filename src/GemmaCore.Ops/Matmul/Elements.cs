using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>How to read elements of one type as floats. Addresses need no alignment. All widenings are exact.</summary>
internal unsafe interface IElements
{
    /// <summary>Bytes of one element.</summary>
    static abstract int Size { get; }

    static abstract float Load(byte* source);

    /// <summary>Eight neighbouring elements.</summary>
    static abstract Vector256<float> Load8(byte* source);

    /// <summary>Sixteen neighbouring elements.</summary>
    static abstract Vector512<float> Load16(byte* source);
}

internal readonly unsafe struct F32Elements : IElements
{
    public static int Size => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(byte* source) => Unsafe.ReadUnaligned<float>(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load8(byte* source) => Vector256.Load((float*)source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load16(byte* source) => Vector512.Load((float*)source);
}

/// <summary>bfloat16 is the upper half of a float: widening is a shift.</summary>
internal readonly unsafe struct BF16Elements : IElements
{
    public static int Size => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(byte* source) => BFloat16.ToSingle(Unsafe.ReadUnaligned<ushort>(source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load8(byte* source)
    {
        Vector128<ushort> bits = Vector128.Load((ushort*)source);
        return (Halves.Widen(bits) << 16).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load16(byte* source) => (Halves.Widen(Vector256.Load((ushort*)source)) << 16).AsSingle();
}

/// <summary>
/// binary16: exponent and fraction move to their place in a float, and a multiplication by 2^112 corrects the exponent's bias, which also
/// makes subnormals right; infinities and NaN get their exponent of all ones back.
/// </summary>
internal readonly unsafe struct F16Elements : IElements
{
    private const float Rebias = 5.192297e33f; // 2^112, the difference of the two biases (127 − 15)
    private const float SubnormalUnit = 5.9604645e-8f; // 2^-24
    private const uint InfinityInPlace = 31u << 23, FloatInfinity = 255u << 23, SmallestNormal = 1 << 10, Infinity = 31 << 10, Bias = 112u << 23;

    public static int Size => sizeof(ushort);

    // Half's own conversion is a call, before which a loop must put all its vectors into memory.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(byte* source)
    {
        uint bits = Unsafe.ReadUnaligned<ushort>(source), magnitude = bits & 0x7FFF;
        float value = magnitude < SmallestNormal ? (int)magnitude * SubnormalUnit
            : BitConverter.UInt32BitsToSingle((magnitude << 13) + (magnitude < Infinity ? Bias : 2 * Bias));
        return bits > 0x7FFF ? -value : value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load8(byte* source)
    {
        Vector256<uint> bits = Halves.Widen(Vector128.Load((ushort*)source));
        Vector256<uint> sign = (bits & Vector256.Create(0x8000u)) << 16, magnitude = (bits & Vector256.Create(0x7FFFu)) << 13;
        Vector256<uint> special = Vector256.GreaterThanOrEqual(magnitude, Vector256.Create(InfinityInPlace)) & Vector256.Create(FloatInfinity);
        return ((magnitude.AsSingle() * Rebias).AsUInt32() | special | sign).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load16(byte* source)
    {
        Vector512<uint> bits = Halves.Widen(Vector256.Load((ushort*)source));
        Vector512<uint> sign = (bits & Vector512.Create(0x8000u)) << 16, magnitude = (bits & Vector512.Create(0x7FFFu)) << 13;
        Vector512<uint> special = Vector512.GreaterThanOrEqual(magnitude, Vector512.Create(InfinityInPlace)) & Vector512.Create(FloatInfinity);
        return ((magnitude.AsSingle() * Rebias).AsUInt32() | special | sign).AsSingle();
    }
}

/// <summary>Codes of signed 8-bit weights, without their scale.</summary>
internal readonly unsafe struct I8Elements : IElements
{
    public static int Size => sizeof(sbyte);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(byte* source) => (sbyte)*source;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load8(byte* source)
    {
        if (System.Runtime.Intrinsics.X86.Avx2.IsSupported)
            return Vector256.ConvertToSingle(System.Runtime.Intrinsics.X86.Avx2.ConvertToVector256Int32((sbyte*)source));
        Vector128<short> wide = Vector128.WidenLower(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<long>(source)).AsSByte());
        return Vector256.ConvertToSingle(Vector256.Create(Vector128.WidenLower(wide), Vector128.WidenUpper(wide)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load16(byte* source) => System.Runtime.Intrinsics.X86.Avx512F.IsSupported
        ? Vector512.ConvertToSingle(System.Runtime.Intrinsics.X86.Avx512F.ConvertToVector512Int32(Vector128.Load((sbyte*)source)))
        : Vector512.Create(Load8(source), Load8(source + 8));
}

internal static class Halves
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> Widen(Vector128<ushort> bits) => System.Runtime.Intrinsics.X86.Avx2.IsSupported
        ? System.Runtime.Intrinsics.X86.Avx2.ConvertToVector256Int32(bits).AsUInt32()
        : Vector256.Create(Vector128.WidenLower(bits), Vector128.WidenUpper(bits));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> Widen(Vector256<ushort> bits) => System.Runtime.Intrinsics.X86.Avx512F.IsSupported
        ? System.Runtime.Intrinsics.X86.Avx512F.ConvertToVector512UInt32(bits)
        : Vector512.Create(Vector256.WidenLower(bits), Vector256.WidenUpper(bits));
}
