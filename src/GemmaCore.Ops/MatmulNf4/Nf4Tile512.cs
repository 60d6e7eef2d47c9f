using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace GemmaCore.Ops;

/// <summary>
/// Sixteen lanes: 64 bytes of codes are two blocks, the first in the lower eight lanes. A row's last block may be alone; the upper lanes then hold zeros in x.
/// </summary>
internal readonly unsafe struct Nf4Tile512 : INf4Tile
{
    private const int Run = 128; // elements of a vector of codes

    public static int StrideOf(int columns) => (columns + Run - 1) / Run * Run;

    // A lookup takes the lowest four bits of every 32-bit lane, the next one those above; the second of a byte's two elements is in its lower half. A last short run is filled with zeros.
    public static void Arrange(float* x, int columns, float* target)
    {
        for (int first = 0; first < columns; first += Run)
        {
            for (int position = 0; position < Run; position++)
            {
                int element = first + position % 16 * 8 + (position / 16 ^ 1);
                *target++ = element < columns ? x[element] : 0;
            }
        }
    }

    public static int Multiply<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int rows, int n, int next) where TMagnitudes : struct, INf4Magnitudes
    {
        int count = rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
        if (count == 4) Four(product, m, n, next);
        else if (count == 2) Two(product, m, n, next);
        else One(product, m, n, next);
        return count;
    }

    private static void One<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int n, int next) where TMagnitudes : struct, INf4Magnitudes
    {
        Vector512<float> table = Nf4Lookup.Table512, s = Vector512<float>.Zero, t = s;
        TMagnitudes magnitudes = product.Magnitudes;
        long block = (long)n * product.Blocks, other = (long)next * product.Blocks;
        byte* a = product.Codes + block * Nf4Dots.BytesPerBlock, b = product.Codes + other * Nf4Dots.BytesPerBlock;
        float* x = product.X + (long)m * product.Stride;
        for (int left = product.Blocks; left > 0; left -= 2, a += 64, b += 64, block += 2, other += 2, x += Run)
        {
            Vector512<int> c = Codes(a, left), d = Codes(b, left);
            RowStreams.FetchAhead(a);
            RowStreams.FetchAhead(b);
            Vector512<float> x0 = Vector512.Load(x), x1 = Vector512.Load(x + 16), x2 = Vector512.Load(x + 32), x3 = Vector512.Load(x + 48);
            Vector512<float> u = Nf4Lookup.Of(table, c) * x0, v = Nf4Lookup.Of(table, d) * x0;
            u = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(table, c >>> 4), x1, u);
            v = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(table, d >>> 4), x1, v);
            u = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(table, c >>> 8), x2, u);
            v = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(table, d >>> 8), x2, v);
            u = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(table, c >>> 12), x3, u);
            v = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(table, d >>> 12), x3, v);
            x0 = Vector512.Load(x + 64);
            x1 = Vector512.Load(x + 80);
            x2 = Vector512.Load(x + 96);
            x3 = Vector512.Load(x + 112);
            u = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(table, c >>> 16), x0, u);
            v = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(table, d >>> 16), x0, v);
            u = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(table, c >>> 20), x1, u);
            v = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(table, d >>> 20), x1, v);
            u = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(table, c >>> 24), x2, u);
            v = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(table, d >>> 24), x2, v);
            u = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(table, c >>> 28), x3, u);
            v = Vector512.FusedMultiplyAdd(Nf4Lookup.Of(table, d >>> 28), x3, v);
            s = Vector512.FusedMultiplyAdd(u, Magnitudes(magnitudes, block, left), s);
            t = Vector512.FusedMultiplyAdd(v, Magnitudes(magnitudes, other, left), t);
        }

        product.Put(m, n, Vector512.Sum(s));
        product.Put(m, next, Vector512.Sum(t));
    }

    private static void Two<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int n, int next) where TMagnitudes : struct, INf4Magnitudes
    {
        Vector512<float> table = Nf4Lookup.Table512, s0 = Vector512<float>.Zero, s1 = s0, t0 = s0, t1 = s0;
        TMagnitudes magnitudes = product.Magnitudes;
        long block = (long)n * product.Blocks, other = (long)next * product.Blocks, stride = product.Stride;
        byte* a = product.Codes + block * Nf4Dots.BytesPerBlock, b = product.Codes + other * Nf4Dots.BytesPerBlock;
        float* x = product.X + m * stride;
        for (int left = product.Blocks; left > 0; left -= 2, a += 64, b += 64, block += 2, other += 2)
        {
            Vector512<int> c = Codes(a, left), d = Codes(b, left);
            RowStreams.FetchAhead(a);
            RowStreams.FetchAhead(b);
            Vector512<float> u0 = Vector512<float>.Zero, u1 = u0, v0 = u0, v1 = u0;
            for (float* end = x + Run; x < end; x += 16)
            {
                Vector512<float> p = Nf4Lookup.Of(table, c), q = Nf4Lookup.Of(table, d), x0 = Vector512.Load(x), x1 = Vector512.Load(x + stride);
                c >>>= 4;
                d >>>= 4;
                u0 = Vector512.FusedMultiplyAdd(p, x0, u0);
                v0 = Vector512.FusedMultiplyAdd(q, x0, v0);
                u1 = Vector512.FusedMultiplyAdd(p, x1, u1);
                v1 = Vector512.FusedMultiplyAdd(q, x1, v1);
            }

            Vector512<float> f = Magnitudes(magnitudes, block, left), g = Magnitudes(magnitudes, other, left);
            s0 = Vector512.FusedMultiplyAdd(u0, f, s0);
            t0 = Vector512.FusedMultiplyAdd(v0, g, t0);
            s1 = Vector512.FusedMultiplyAdd(u1, f, s1);
            t1 = Vector512.FusedMultiplyAdd(v1, g, t1);
        }

        product.Put(m, n, Vector512.Sum(s0));
        product.Put(m, next, Vector512.Sum(t0));
        product.Put(m + 1, n, Vector512.Sum(s1));
        product.Put(m + 1, next, Vector512.Sum(t1));
    }

    private static void Four<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int n, int next) where TMagnitudes : struct, INf4Magnitudes
    {
        Vector512<float> table = Nf4Lookup.Table512, s0 = Vector512<float>.Zero, s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
        TMagnitudes magnitudes = product.Magnitudes;
        long block = (long)n * product.Blocks, other = (long)next * product.Blocks, stride = product.Stride;
        byte* a = product.Codes + block * Nf4Dots.BytesPerBlock, b = product.Codes + other * Nf4Dots.BytesPerBlock;
        float* x = product.X + m * stride, y = x + 2 * stride;
        for (int left = product.Blocks; left > 0; left -= 2, a += 64, b += 64, block += 2, other += 2)
        {
            Vector512<int> c = Codes(a, left), d = Codes(b, left);
            RowStreams.FetchAhead(a);
            RowStreams.FetchAhead(b);
            Vector512<float> u0 = Vector512<float>.Zero, u1 = u0, u2 = u0, u3 = u0, v0 = u0, v1 = u0, v2 = u0, v3 = u0;
            for (float* end = x + Run; x < end; x += 16, y += 16)
            {
                Vector512<float> p = Nf4Lookup.Of(table, c), q = Nf4Lookup.Of(table, d), x0 = Vector512.Load(x), x1 = Vector512.Load(x + stride);
                c >>>= 4;
                d >>>= 4;
                u0 = Vector512.FusedMultiplyAdd(p, x0, u0);
                v0 = Vector512.FusedMultiplyAdd(q, x0, v0);
                u1 = Vector512.FusedMultiplyAdd(p, x1, u1);
                v1 = Vector512.FusedMultiplyAdd(q, x1, v1);
                x0 = Vector512.Load(y);
                x1 = Vector512.Load(y + stride);
                u2 = Vector512.FusedMultiplyAdd(p, x0, u2);
                v2 = Vector512.FusedMultiplyAdd(q, x0, v2);
                u3 = Vector512.FusedMultiplyAdd(p, x1, u3);
                v3 = Vector512.FusedMultiplyAdd(q, x1, v3);
            }

            Vector512<float> f = Magnitudes(magnitudes, block, left), g = Magnitudes(magnitudes, other, left);
            s0 = Vector512.FusedMultiplyAdd(u0, f, s0);
            t0 = Vector512.FusedMultiplyAdd(v0, g, t0);
            s1 = Vector512.FusedMultiplyAdd(u1, f, s1);
            t1 = Vector512.FusedMultiplyAdd(v1, g, t1);
            s2 = Vector512.FusedMultiplyAdd(u2, f, s2);
            t2 = Vector512.FusedMultiplyAdd(v2, g, t2);
            s3 = Vector512.FusedMultiplyAdd(u3, f, s3);
            t3 = Vector512.FusedMultiplyAdd(v3, g, t3);
        }

        product.Put(m, n, Vector512.Sum(s0));
        product.Put(m, next, Vector512.Sum(t0));
        product.Put(m + 1, n, Vector512.Sum(s1));
        product.Put(m + 1, next, Vector512.Sum(t1));
        product.Put(m + 2, n, Vector512.Sum(s2));
        product.Put(m + 2, next, Vector512.Sum(t2));
        product.Put(m + 3, n, Vector512.Sum(s3));
        product.Put(m + 3, next, Vector512.Sum(t3));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Codes(byte* source, int left) =>
        left > 1 ? Vector512.Load((int*)source) : Vector256.Load((int*)source).ToVector512();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Magnitudes<TMagnitudes>(TMagnitudes magnitudes, long block, int left) where TMagnitudes : struct, INf4Magnitudes =>
        Vector512.Create(Vector256.Create(magnitudes.Of(block)), Vector256.Create(left > 1 ? magnitudes.Of(block + 1) : 0));
}
