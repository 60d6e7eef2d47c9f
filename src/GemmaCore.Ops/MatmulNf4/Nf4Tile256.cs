using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GemmaCore.Ops;

/// <summary>Eight lanes: 32 bytes of codes are one block.</summary>
internal readonly unsafe struct Nf4Tile256 : INf4Tile
{
    public static int Lanes => 8;

    public static int Multiply<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int rows, int n, int next) where TMagnitudes : struct, INf4Magnitudes
    {
        int count = rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
        if (count == 1)
        {
            One(product, m, n, next);
            return 1;
        }

        // Two columns of four rows would be more sums than there are registers.
        for (int column = n; column <= next; column++)
            if (count == 4) Four(product, m, column);
            else Two(product, m, column);
        return count;
    }

    private static void One<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int n, int next) where TMagnitudes : struct, INf4Magnitudes
    {
        (Vector256<float> low, Vector256<float> high) = (Nf4Lookup.Low, Nf4Lookup.High);
        Vector256<float> s = Vector256<float>.Zero, t = s;
        TMagnitudes magnitudes = product.Magnitudes;
        int ahead = product.Ahead;
        long block = (long)n * product.Blocks, other = (long)next * product.Blocks;
        byte* a = product.Codes + block * Nf4Dots.BytesPerBlock, b = product.Codes + other * Nf4Dots.BytesPerBlock;
        float* x = product.X + (long)m * product.Stride, stop = x + product.Stride;
        for (; x < stop; a += Nf4Dots.BytesPerBlock, b += Nf4Dots.BytesPerBlock, block++, other++)
        {
            Vector256<int> c = Vector256.Load((int*)a), d = Vector256.Load((int*)b);
            Nf4Dots.Fetch(a + ahead);
            Nf4Dots.Fetch(b + ahead);
            Vector256<float> u = Vector256<float>.Zero, v = u;
            for (float* end = x + Nf4.BlockSize; x < end; x += 8)
            {
                Vector256<float> x0 = Vector256.Load(x);
                u = Fma.MultiplyAdd(Nf4Lookup.Of(low, high, c), x0, u);
                v = Fma.MultiplyAdd(Nf4Lookup.Of(low, high, d), x0, v);
                c >>>= 4;
                d >>>= 4;
            }

            s = Fma.MultiplyAdd(u, Vector256.Create(magnitudes.Of(block)), s);
            t = Fma.MultiplyAdd(v, Vector256.Create(magnitudes.Of(other)), t);
        }

        product.Put(m, n, Vector256.Sum(s));
        product.Put(m, next, Vector256.Sum(t));
    }

    private static void Two<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int n) where TMagnitudes : struct, INf4Magnitudes
    {
        (Vector256<float> low, Vector256<float> high) = (Nf4Lookup.Low, Nf4Lookup.High);
        Vector256<float> s0 = Vector256<float>.Zero, s1 = s0;
        TMagnitudes magnitudes = product.Magnitudes;
        int ahead = product.Ahead;
        long block = (long)n * product.Blocks, stride = product.Stride;
        byte* a = product.Codes + block * Nf4Dots.BytesPerBlock;
        float* x = product.X + m * stride, stop = x + stride;
        for (; x < stop; a += Nf4Dots.BytesPerBlock, block++)
        {
            Vector256<int> c = Vector256.Load((int*)a);
            Nf4Dots.Fetch(a + ahead);
            Vector256<float> u0 = Vector256<float>.Zero, u1 = u0;
            for (float* end = x + Nf4.BlockSize; x < end; x += 8)
            {
                Vector256<float> p = Nf4Lookup.Of(low, high, c);
                c >>>= 4;
                u0 = Fma.MultiplyAdd(p, Vector256.Load(x), u0);
                u1 = Fma.MultiplyAdd(p, Vector256.Load(x + stride), u1);
            }

            Vector256<float> f = Vector256.Create(magnitudes.Of(block));
            s0 = Fma.MultiplyAdd(u0, f, s0);
            s1 = Fma.MultiplyAdd(u1, f, s1);
        }

        product.Put(m, n, Vector256.Sum(s0));
        product.Put(m + 1, n, Vector256.Sum(s1));
    }

    private static void Four<TMagnitudes>(in Nf4Product<TMagnitudes> product, int m, int n) where TMagnitudes : struct, INf4Magnitudes
    {
        (Vector256<float> low, Vector256<float> high) = (Nf4Lookup.Low, Nf4Lookup.High);
        Vector256<float> s0 = Vector256<float>.Zero, s1 = s0, s2 = s0, s3 = s0;
        TMagnitudes magnitudes = product.Magnitudes;
        int ahead = product.Ahead;
        long block = (long)n * product.Blocks, stride = product.Stride;
        byte* a = product.Codes + block * Nf4Dots.BytesPerBlock;
        float* x = product.X + m * stride, y = x + 2 * stride, stop = x + stride;
        for (; x < stop; a += Nf4Dots.BytesPerBlock, block++)
        {
            Vector256<int> c = Vector256.Load((int*)a);
            Nf4Dots.Fetch(a + ahead);
            Vector256<float> u0 = Vector256<float>.Zero, u1 = u0, u2 = u0, u3 = u0;
            for (float* end = x + Nf4.BlockSize; x < end; x += 8, y += 8)
            {
                Vector256<float> p = Nf4Lookup.Of(low, high, c);
                c >>>= 4;
                u0 = Fma.MultiplyAdd(p, Vector256.Load(x), u0);
                u1 = Fma.MultiplyAdd(p, Vector256.Load(x + stride), u1);
                u2 = Fma.MultiplyAdd(p, Vector256.Load(y), u2);
                u3 = Fma.MultiplyAdd(p, Vector256.Load(y + stride), u3);
            }

            Vector256<float> f = Vector256.Create(magnitudes.Of(block));
            s0 = Fma.MultiplyAdd(u0, f, s0);
            s1 = Fma.MultiplyAdd(u1, f, s1);
            s2 = Fma.MultiplyAdd(u2, f, s2);
            s3 = Fma.MultiplyAdd(u3, f, s3);
        }

        product.Put(m, n, Vector256.Sum(s0));
        product.Put(m + 1, n, Vector256.Sum(s1));
        product.Put(m + 2, n, Vector256.Sum(s2));
        product.Put(m + 3, n, Vector256.Sum(s3));
    }
}
