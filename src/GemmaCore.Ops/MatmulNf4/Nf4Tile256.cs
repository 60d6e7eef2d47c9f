using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GemmaCore.Ops;

/// <summary>
/// Eight lanes, in integers: 32 bytes of codes are one block, whose values of 16 bits (<see cref="Nf4Integers"/>) are multiplied by x in 16 bits, which has a step for every block.
/// Where exact floats need 24 shuffles and 8 products for a block, these need 8 and 4. Sums in 32 bits are exact; what is rounded are the values, by at most
/// <see cref="Nf4Integers.LargestError"/>, and x, by half a step: 1/65534 of the largest of its block.
/// </summary>
internal readonly unsafe struct Nf4Tile256 : INf4Tile
{
    // The largest integer of x. Four products of such a one and Nf4Integers.One are less than 2^31.
    private const int Largest = short.MaxValue;

    // Below it a step would be no normal number; such blocks count as zeros.
    private const float Smallest = Largest * 1.17549435e-38f;

    // 64 integers of a block, as floats; behind those of all blocks come the steps, to a whole cache line.
    private const int FloatsPerBlock = Nf4.BlockSize / 2;

    public static int StrideOf(int columns)
    {
        int blocks = columns / Nf4.BlockSize;
        return blocks * FloatsPerBlock + (blocks + Nf4Dots.FloatsPerLine - 1) / Nf4Dots.FloatsPerLine * Nf4Dots.FloatsPerLine;
    }

    public static void Arrange(float* x, int columns, float* target)
    {
        int blocks = columns / Nf4.BlockSize;
        float* steps = target + blocks * FloatsPerBlock;
        int* rounded = stackalloc int[Nf4.BlockSize];
        for (int block = 0; block < blocks; block++, x += Nf4.BlockSize, target += FloatsPerBlock)
        {
            steps[block] = Round(x, rounded);
            Order(rounded, (short*)target);
        }
    }

    public static int Multiply<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int rows, int n, int next) where TMagnitudes : struct, INf4Magnitudes
    {
        int count = rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
        if (count == 4)
        {
            Four(product, m, n);
            Four(product, m, next);
        }
        else if (count == 2)
        {
            Two(product, m, n);
            Two(product, m, next);
        }
        else One(product, m, n, next);
        return count;
    }

    // A block in steps of the one that is returned; one with an element that is not finite has a step that is not a number.
    private static float Round(float* x, int* rounded)
    {
        Vector256<float> most = Vector256<float>.Zero;
        for (int i = 0; i < Nf4.BlockSize; i += 8) most = Vector256.Max(most, Vector256.Abs(Vector256.Load(x + i)));
        float largest = 0;
        for (int lane = 0; lane < 8; lane++) largest = MathF.Max(largest, most[lane]);
        bool regular = float.IsFinite(largest) && largest >= Smallest;
        Vector256<float> perStep = Vector256.Create(regular ? Largest / largest : 0);
        for (int i = 0; i < Nf4.BlockSize; i += 8) Avx.ConvertToVector256Int32(Vector256.Load(x + i) * perStep).Store(rounded + i);
        return regular ? largest / Largest : float.IsFinite(largest) ? 0 : float.NaN;
    }

    // As codes are unpacked, within 16 bytes: eight bytes for one vector, eight for the next; first the lower halves of all bytes, then the upper ones, which are the first of two elements.
    private static void Order(int* rounded, short* target)
    {
        for (int code = 0; code < Nf4Dots.BytesPerBlock; code++)
        {
            int place = code / 8 % 2 * 16 + code / 16 * 8 + code % 8;
            target[place] = (short)rounded[2 * code + 1];
            target[place + 32] = (short)rounded[2 * code];
        }
    }

    private static void One<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int n, int next) where TMagnitudes : struct, INf4Magnitudes
    {
        Nf4Integers values = Nf4Integers.Table;
        Vector256<float> s = Vector256<float>.Zero, t = s;
        TMagnitudes magnitudes = product.Magnitudes;
        long block = (long)n * product.Blocks, other = (long)next * product.Blocks;
        byte* a = product.Codes + block * Nf4Dots.BytesPerBlock, b = product.Codes + other * Nf4Dots.BytesPerBlock;
        float* x = product.X + (long)m * product.Stride, steps = x + product.Blocks * FloatsPerBlock, stop = steps;
        for (; x < stop; a += Nf4Dots.BytesPerBlock, b += Nf4Dots.BytesPerBlock, x += FloatsPerBlock, steps++, block++, other++)
        {
            RowStreams.FetchAhead(a);
            RowStreams.FetchAhead(b);
            s = Fma.MultiplyAdd(Dot(values.Of(Vector256.Load(a)), x), Vector256.Create(magnitudes.Of(block) * *steps), s);
            t = Fma.MultiplyAdd(Dot(values.Of(Vector256.Load(b)), x), Vector256.Create(magnitudes.Of(other) * *steps), t);
        }

        Put(product, m, n, s);
        Put(product, m, next, t);
    }

    private static void Two<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int n) where TMagnitudes : struct, INf4Magnitudes
    {
        Nf4Integers values = Nf4Integers.Table;
        Vector256<float> s0 = Vector256<float>.Zero, s1 = s0;
        TMagnitudes magnitudes = product.Magnitudes;
        long block = (long)n * product.Blocks, stride = product.Stride;
        byte* a = product.Codes + block * Nf4Dots.BytesPerBlock;
        float* x = product.X + m * stride, steps = x + product.Blocks * FloatsPerBlock, stop = steps;
        for (; x < stop; a += Nf4Dots.BytesPerBlock, x += FloatsPerBlock, steps++, block++)
        {
            Nf4Block w = values.Of(Vector256.Load(a));
            RowStreams.FetchAhead(a);
            float magnitude = magnitudes.Of(block);
            s0 = Fma.MultiplyAdd(Dot(w, x), Vector256.Create(magnitude * *steps), s0);
            s1 = Fma.MultiplyAdd(Dot(w, x + stride), Vector256.Create(magnitude * steps[stride]), s1);
        }

        Put(product, m, n, s0);
        Put(product, m + 1, n, s1);
    }

    private static void Four<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int n) where TMagnitudes : struct, INf4Magnitudes
    {
        Nf4Integers values = Nf4Integers.Table;
        Vector256<float> s0 = Vector256<float>.Zero, s1 = s0, s2 = s0, s3 = s0;
        TMagnitudes magnitudes = product.Magnitudes;
        long block = (long)n * product.Blocks, stride = product.Stride;
        byte* a = product.Codes + block * Nf4Dots.BytesPerBlock;
        float* x = product.X + m * stride, steps = x + product.Blocks * FloatsPerBlock, stop = steps;
        for (; x < stop; a += Nf4Dots.BytesPerBlock, x += FloatsPerBlock, steps++, block++)
        {
            Nf4Block w = values.Of(Vector256.Load(a));
            RowStreams.FetchAhead(a);
            float magnitude = magnitudes.Of(block);
            s0 = Fma.MultiplyAdd(Dot(w, x), Vector256.Create(magnitude * *steps), s0);
            s1 = Fma.MultiplyAdd(Dot(w, x + stride), Vector256.Create(magnitude * steps[stride]), s1);
            s2 = Fma.MultiplyAdd(Dot(w, x + 2 * stride), Vector256.Create(magnitude * steps[2 * stride]), s2);
            s3 = Fma.MultiplyAdd(Dot(w, x + 3 * stride), Vector256.Create(magnitude * steps[3 * stride]), s3);
        }

        Put(product, m, n, s0);
        Put(product, m + 1, n, s1);
        Put(product, m + 2, n, s2);
        Put(product, m + 3, n, s3);
    }

    // Σ value · x of a block, in its steps of both.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Dot(in Nf4Block w, float* x)
    {
        Vector256<int> lower = Avx2.MultiplyAddAdjacent(w.First, Vector256.Load((short*)x)) + Avx2.MultiplyAddAdjacent(w.Second, Vector256.Load((short*)(x + 8)));
        Vector256<int> upper = Avx2.MultiplyAddAdjacent(w.Third, Vector256.Load((short*)(x + 16))) + Avx2.MultiplyAddAdjacent(w.Fourth, Vector256.Load((short*)(x + 24)));
        return Avx.ConvertToVector256Single(lower) + Avx.ConvertToVector256Single(upper);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int n, Vector256<float> sum) where TMagnitudes : struct, INf4Magnitudes =>
        product.Put(m, n, Vector256.Sum(sum) * (1f / Nf4Integers.One));
}
