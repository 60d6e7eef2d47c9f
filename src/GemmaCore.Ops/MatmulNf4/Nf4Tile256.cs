using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GemmaCore.Ops;

/// <summary>
/// Eight lanes: 32 bytes of codes are one block. Sixteen values of four bytes are four tables of sixteen bytes, which one instruction each looks up for 32 codes; unpacked
/// twice, the bytes are floats: 24 shuffles for 64 exact values, where permutes of floats need 16, which take twice as long on AMD processors, and eight choices.
/// </summary>
internal readonly unsafe struct Nf4Tile256 : INf4Tile
{
    public static int Lanes => 8;

    // The lower halves of all bytes, then the upper ones, which are the first of two elements. Unpacking works within 16 bytes: four of the first and four of the second.
    public static uint Element(uint position)
    {
        uint half = position / 32, vector = position / 8 % 4, lane = position % 8;
        return 2 * (4 * vector + lane % 4 + lane / 4 * 16) + (1 - half);
    }

    public static int Multiply<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int rows, int n, int next) where TMagnitudes : struct, INf4Magnitudes
    {
        int count = rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
        for (int column = n; column <= next; column++)
        {
            if (count == 4) Four(product, m, column);
            else if (count == 2) Two(product, m, column);
        }

        // Two columns that are read at once are foreseen better.
        if (count == 1) One(product, m, n, next);
        return count;
    }

    private static void One<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int n, int next) where TMagnitudes : struct, INf4Magnitudes
    {
        Nf4Bytes tables = Nf4Bytes.Tables;
        Vector256<float> s = Vector256<float>.Zero, t = s;
        TMagnitudes magnitudes = product.Magnitudes;
        int ahead = product.Ahead;
        long block = (long)n * product.Blocks, other = (long)next * product.Blocks;
        byte* a = product.Codes + block * Nf4Dots.BytesPerBlock, b = product.Codes + other * Nf4Dots.BytesPerBlock;
        float* x = product.X + (long)m * product.Stride, stop = x + product.Stride;
        for (; x < stop; a += Nf4Dots.BytesPerBlock, b += Nf4Dots.BytesPerBlock, x += Nf4.BlockSize, block++, other++)
        {
            Nf4Dots.Fetch(a + ahead);
            Nf4Dots.Fetch(b + ahead);
            s = Fma.MultiplyAdd(Block(tables, Vector256.Load(a), x), Vector256.Create(magnitudes.Of(block)), s);
            t = Fma.MultiplyAdd(Block(tables, Vector256.Load(b), x), Vector256.Create(magnitudes.Of(other)), t);
        }

        product.Put(m, n, Vector256.Sum(s));
        product.Put(m, next, Vector256.Sum(t));
    }

    // Σ value · x of a block: even and odd vectors apart, so that two multiply-adds are under way.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Block(in Nf4Bytes tables, Vector256<byte> codes, float* x)
    {
        Vector256<float> even = Vector256<float>.Zero, odd = even;
        Add(tables.OfLowerHalves(codes), x, ref even, ref odd);
        Add(tables.OfUpperHalves(codes), x + Nf4.BlockSize / 2, ref even, ref odd);
        return even + odd;
    }

    private static void Two<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int n) where TMagnitudes : struct, INf4Magnitudes
    {
        Nf4Bytes tables = Nf4Bytes.Tables;
        Vector256<float> s0 = Vector256<float>.Zero, s1 = s0;
        TMagnitudes magnitudes = product.Magnitudes;
        int ahead = product.Ahead;
        long block = (long)n * product.Blocks, stride = product.Stride;
        byte* a = product.Codes + block * Nf4Dots.BytesPerBlock;
        float* x = product.X + m * stride, stop = x + stride;
        for (; x < stop; a += Nf4Dots.BytesPerBlock, block++)
        {
            Vector256<byte> codes = Vector256.Load(a);
            Nf4Dots.Fetch(a + ahead);
            Vector256<float> even0 = Vector256<float>.Zero, even1 = even0, odd0 = even0, odd1 = even0;
            Nf4Values values = tables.OfLowerHalves(codes);
            Add(values, x, ref even0, ref odd0);
            Add(values, x + stride, ref even1, ref odd1);
            values = tables.OfUpperHalves(codes);
            x += Nf4.BlockSize / 2;
            Add(values, x, ref even0, ref odd0);
            Add(values, x + stride, ref even1, ref odd1);
            x += Nf4.BlockSize / 2;

            Vector256<float> f = Vector256.Create(magnitudes.Of(block));
            s0 = Fma.MultiplyAdd(even0 + odd0, f, s0);
            s1 = Fma.MultiplyAdd(even1 + odd1, f, s1);
        }

        product.Put(m, n, Vector256.Sum(s0));
        product.Put(m + 1, n, Vector256.Sum(s1));
    }

    private static void Four<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int n) where TMagnitudes : struct, INf4Magnitudes
    {
        Nf4Bytes tables = Nf4Bytes.Tables;
        Vector256<float> s0 = Vector256<float>.Zero, s1 = s0, s2 = s0, s3 = s0;
        TMagnitudes magnitudes = product.Magnitudes;
        int ahead = product.Ahead;
        long block = (long)n * product.Blocks, stride = product.Stride;
        byte* a = product.Codes + block * Nf4Dots.BytesPerBlock;
        float* x = product.X + m * stride, stop = x + stride;
        for (; x < stop; a += Nf4Dots.BytesPerBlock, block++)
        {
            Vector256<byte> codes = Vector256.Load(a);
            Nf4Dots.Fetch(a + ahead);
            Vector256<float> even0 = Vector256<float>.Zero, even1 = even0, even2 = even0, even3 = even0, odd0 = even0, odd1 = even0, odd2 = even0, odd3 = even0;
            for (int half = 0; half < 2; half++, x += Nf4.BlockSize / 2)
            {
                Nf4Values values = half == 0 ? tables.OfLowerHalves(codes) : tables.OfUpperHalves(codes);
                Add(values, x, ref even0, ref odd0);
                Add(values, x + stride, ref even1, ref odd1);
                Add(values, x + 2 * stride, ref even2, ref odd2);
                Add(values, x + 3 * stride, ref even3, ref odd3);
            }

            Vector256<float> f = Vector256.Create(magnitudes.Of(block));
            s0 = Fma.MultiplyAdd(even0 + odd0, f, s0);
            s1 = Fma.MultiplyAdd(even1 + odd1, f, s1);
            s2 = Fma.MultiplyAdd(even2 + odd2, f, s2);
            s3 = Fma.MultiplyAdd(even3 + odd3, f, s3);
        }

        product.Put(m, n, Vector256.Sum(s0));
        product.Put(m + 1, n, Vector256.Sum(s1));
        product.Put(m + 2, n, Vector256.Sum(s2));
        product.Put(m + 3, n, Vector256.Sum(s3));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(in Nf4Values values, float* x, ref Vector256<float> even, ref Vector256<float> odd)
    {
        even = Fma.MultiplyAdd(values.First, Vector256.Load(x), even);
        odd = Fma.MultiplyAdd(values.Second, Vector256.Load(x + 8), odd);
        even = Fma.MultiplyAdd(values.Third, Vector256.Load(x + 16), even);
        odd = Fma.MultiplyAdd(values.Fourth, Vector256.Load(x + 24), odd);
    }
}

/// <summary>The values of 32 codes, in the order in which <see cref="Nf4Bytes"/> gives them.</summary>
internal readonly record struct Nf4Values(Vector256<float> First, Vector256<float> Second, Vector256<float> Third, Vector256<float> Fourth);

/// <summary>The bytes of the NF4 values, lowest first: tables of sixteen, twice.</summary>
internal readonly record struct Nf4Bytes(Vector256<byte> Lowest, Vector256<byte> Lower, Vector256<byte> Higher, Vector256<byte> Highest)
{
    public static Nf4Bytes Tables { get; } = new(Table(0), Table(1), Table(2), Table(3));

    /// <summary>The values of the lower halves of 32 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Nf4Values OfLowerHalves(Vector256<byte> codes) => Of(codes & Vector256.Create((byte)15));

    /// <summary>The values of the upper halves of 32 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Nf4Values OfUpperHalves(Vector256<byte> codes) => Of((codes.AsUInt16() >>> 4).AsByte() & Vector256.Create((byte)15));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Nf4Values Of(Vector256<byte> indices)
    {
        Vector256<byte> lowest = Avx2.Shuffle(Lowest, indices), lower = Avx2.Shuffle(Lower, indices), higher = Avx2.Shuffle(Higher, indices), highest = Avx2.Shuffle(Highest, indices);
        Vector256<ushort> first = Avx2.UnpackLow(lowest, lower).AsUInt16(), second = Avx2.UnpackHigh(lowest, lower).AsUInt16();
        Vector256<ushort> firstUpper = Avx2.UnpackLow(higher, highest).AsUInt16(), secondUpper = Avx2.UnpackHigh(higher, highest).AsUInt16();
        return new Nf4Values(
            Avx2.UnpackLow(first, firstUpper).AsSingle(), Avx2.UnpackHigh(first, firstUpper).AsSingle(),
            Avx2.UnpackLow(second, secondUpper).AsSingle(), Avx2.UnpackHigh(second, secondUpper).AsSingle());
    }

    private static Vector256<byte> Table(int number)
    {
        Span<byte> bytes = stackalloc byte[Vector256<byte>.Count];
        for (int i = 0; i < bytes.Length; i++) bytes[i] = (byte)(BitConverter.SingleToUInt32Bits(Nf4.Values[i % Nf4.Values.Length]) >> (8 * number));
        return Vector256.Create<byte>(bytes);
    }
}
