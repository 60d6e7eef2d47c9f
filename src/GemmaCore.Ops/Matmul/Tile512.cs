using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace GemmaCore.Ops;

/// <summary>
/// 12 × 32 block of C in 24 of the 32 registers of AVX-512: lanes are columns, a row's value of the left matrix is broadcast.
/// Spelled out because the compiler keeps only named locals in registers.
/// </summary>
internal readonly unsafe struct Tile512 : ITile
{
    public static int Rows => 12;

    public static int Columns => 32;

    public static void Multiply(float* left, float* right, int depth, float* c, int stride, bool accumulate)
    {
        const int s = PanelScratch.LeftStride;
        Vector512<float> a0 = Vector512<float>.Zero, b0 = a0;
        Vector512<float> a1 = a0, b1 = a0;
        Vector512<float> a2 = a0, b2 = a0;
        Vector512<float> a3 = a0, b3 = a0;
        Vector512<float> a4 = a0, b4 = a0;
        Vector512<float> a5 = a0, b5 = a0;
        Vector512<float> a6 = a0, b6 = a0;
        Vector512<float> a7 = a0, b7 = a0;
        Vector512<float> a8 = a0, b8 = a0;
        Vector512<float> a9 = a0, b9 = a0;
        Vector512<float> a10 = a0, b10 = a0;
        Vector512<float> a11 = a0, b11 = a0;
        for (float* end = left + depth; left < end; left++, right += 32)
        {
            Vector512<float> u = Vector512.Load(right), v = Vector512.Load(right + 16);
            Vector512<float> x0 = Vector512.Create(*(left));
            a0 = Vector512.FusedMultiplyAdd(x0, u, a0);
            b0 = Vector512.FusedMultiplyAdd(x0, v, b0);
            Vector512<float> x1 = Vector512.Create(*(left + s));
            a1 = Vector512.FusedMultiplyAdd(x1, u, a1);
            b1 = Vector512.FusedMultiplyAdd(x1, v, b1);
            Vector512<float> x2 = Vector512.Create(*(left + 2 * s));
            a2 = Vector512.FusedMultiplyAdd(x2, u, a2);
            b2 = Vector512.FusedMultiplyAdd(x2, v, b2);
            Vector512<float> x3 = Vector512.Create(*(left + 3 * s));
            a3 = Vector512.FusedMultiplyAdd(x3, u, a3);
            b3 = Vector512.FusedMultiplyAdd(x3, v, b3);
            Vector512<float> x4 = Vector512.Create(*(left + 4 * s));
            a4 = Vector512.FusedMultiplyAdd(x4, u, a4);
            b4 = Vector512.FusedMultiplyAdd(x4, v, b4);
            Vector512<float> x5 = Vector512.Create(*(left + 5 * s));
            a5 = Vector512.FusedMultiplyAdd(x5, u, a5);
            b5 = Vector512.FusedMultiplyAdd(x5, v, b5);
            Vector512<float> x6 = Vector512.Create(*(left + 6 * s));
            a6 = Vector512.FusedMultiplyAdd(x6, u, a6);
            b6 = Vector512.FusedMultiplyAdd(x6, v, b6);
            Vector512<float> x7 = Vector512.Create(*(left + 7 * s));
            a7 = Vector512.FusedMultiplyAdd(x7, u, a7);
            b7 = Vector512.FusedMultiplyAdd(x7, v, b7);
            Vector512<float> x8 = Vector512.Create(*(left + 8 * s));
            a8 = Vector512.FusedMultiplyAdd(x8, u, a8);
            b8 = Vector512.FusedMultiplyAdd(x8, v, b8);
            Vector512<float> x9 = Vector512.Create(*(left + 9 * s));
            a9 = Vector512.FusedMultiplyAdd(x9, u, a9);
            b9 = Vector512.FusedMultiplyAdd(x9, v, b9);
            Vector512<float> x10 = Vector512.Create(*(left + 10 * s));
            a10 = Vector512.FusedMultiplyAdd(x10, u, a10);
            b10 = Vector512.FusedMultiplyAdd(x10, v, b10);
            Vector512<float> x11 = Vector512.Create(*(left + 11 * s));
            a11 = Vector512.FusedMultiplyAdd(x11, u, a11);
            b11 = Vector512.FusedMultiplyAdd(x11, v, b11);
        }

        Put(c, a0, b0, accumulate);
        Put(c + stride, a1, b1, accumulate);
        Put(c + 2 * (long)stride, a2, b2, accumulate);
        Put(c + 3 * (long)stride, a3, b3, accumulate);
        Put(c + 4 * (long)stride, a4, b4, accumulate);
        Put(c + 5 * (long)stride, a5, b5, accumulate);
        Put(c + 6 * (long)stride, a6, b6, accumulate);
        Put(c + 7 * (long)stride, a7, b7, accumulate);
        Put(c + 8 * (long)stride, a8, b8, accumulate);
        Put(c + 9 * (long)stride, a9, b9, accumulate);
        Put(c + 10 * (long)stride, a10, b10, accumulate);
        Put(c + 11 * (long)stride, a11, b11, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(float* c, Vector512<float> a, Vector512<float> b, bool accumulate)
    {
        if (accumulate)
        {
            a += Vector512.Load(c);
            b += Vector512.Load(c + 16);
        }

        a.Store(c);
        b.Store(c + 16);
    }
}
