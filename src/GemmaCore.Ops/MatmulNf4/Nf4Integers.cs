using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GemmaCore.Ops;

/// <summary>
/// The values of NF4 as integers of 15 bits. Their bytes are two tables of sixteen, twice, which one instruction each looks up for 32 codes.
/// </summary>
internal readonly record struct Nf4Integers(Vector256<byte> Lower, Vector256<byte> Upper)
{
    /// <summary>The integer of 1: of all below 2^14, the one whose multiples come nearest to the sixteen values (16383 would be wrong by up to 2.9e-5).</summary>
    public const int One = 15684;

    /// <summary>What a value may be wrong by.</summary>
    public const double LargestError = 1.6e-5;

    public static Nf4Integers Table { get; } = new(Bytes(0), Bytes(1));

    public static short Of(float value) => (short)MathF.Round(value * One);

    /// <summary>The values of a block's codes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Nf4Block Of(Vector256<byte> codes)
    {
        Vector256<byte> indices = codes & Vector256.Create((byte)15), lower = Avx2.Shuffle(Lower, indices), upper = Avx2.Shuffle(Upper, indices);
        Vector256<short> first = Avx2.UnpackLow(lower, upper).AsInt16(), second = Avx2.UnpackHigh(lower, upper).AsInt16();
        indices = (codes.AsUInt16() >>> 4).AsByte() & Vector256.Create((byte)15);
        lower = Avx2.Shuffle(Lower, indices);
        upper = Avx2.Shuffle(Upper, indices);
        return new Nf4Block(first, second, Avx2.UnpackLow(lower, upper).AsInt16(), Avx2.UnpackHigh(lower, upper).AsInt16());
    }

    private static Vector256<byte> Bytes(int number)
    {
        Span<byte> bytes = stackalloc byte[Vector256<byte>.Count];
        for (int i = 0; i < bytes.Length; i++) bytes[i] = (byte)(Of(Nf4.Values[i % Nf4.Values.Length]) >> (8 * number));
        return Vector256.Create<byte>(bytes);
    }
}

/// <summary>
/// The values of 32 bytes of codes: of their lower halves the first and the second eight of every sixteen bytes, then the same of their upper halves.
/// </summary>
internal readonly record struct Nf4Block(Vector256<short> First, Vector256<short> Second, Vector256<short> Third, Vector256<short> Fourth);
