using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
namespace GemmaCore.Ops;

/// <summary>
/// 6 × 16 block of C in 12 of the 16 registers of AVX2: lanes are columns, a row's value of the left matrix is broadcast.
/// Spelled out because the compiler keeps only named locals in registers.
/// </summary>
internal readonly unsafe struct Tile256 : ITile
{
    public static int Rows => 6;

    public static int Columns => 16;

    public static void Multiply(float* left, float* right, int depth, float* c, int stride, bool accumulate)
    {
        const int s = PanelScratch.LeftStride;
        Vector256<float> a0 = Vector256<float>.Zero, b0 = a0;
        Vector256<float> a1 = a0, b1 = a0;
        Vector256<float> a2 = a0, b2 = a0;
        Vector256<float> a3 = a0, b3 = a0;
        Vector256<float> a4 = a0, b4 = a0;
        Vector256<float> a5 = a0, b5 = a0;
        for (float* end = left + depth; left < end; left++, right += 16)
        {
            Vector256<float> u = Vector256.Load(right), v = Vector256.Load(right + 8);
            Vector256<float> x0 = Vector256.Create(*(left));
            a0 = Fma.MultiplyAdd(x0, u, a0);
            b0 = Fma.MultiplyAdd(x0, v, b0);
            Vector256<float> x1 = Vector256.Create(*(left + s));
            a1 = Fma.MultiplyAdd(x1, u, a1);
            b1 = Fma.MultiplyAdd(x1, v, b1);
            Vector256<float> x2 = Vector256.Create(*(left + 2 * s));
            a2 = Fma.MultiplyAdd(x2, u, a2);
            b2 = Fma.MultiplyAdd(x2, v, b2);
            Vector256<float> x3 = Vector256.Create(*(left + 3 * s));
            a3 = Fma.MultiplyAdd(x3, u, a3);
            b3 = Fma.MultiplyAdd(x3, v, b3);
            Vector256<float> x4 = Vector256.Create(*(left + 4 * s));
            a4 = Fma.MultiplyAdd(x4, u, a4);
            b4 = Fma.MultiplyAdd(x4, v, b4);
            Vector256<float> x5 = Vector256.Create(*(left + 5 * s));
            a5 = Fma.MultiplyAdd(x5, u, a5);
            b5 = Fma.MultiplyAdd(x5, v, b5);
        }

        Put(c, a0, b0, accumulate);
        Put(c + stride, a1, b1, accumulate);
        Put(c + 2 * (long)stride, a2, b2, accumulate);
        Put(c + 3 * (long)stride, a3, b3, accumulate);
        Put(c + 4 * (long)stride, a4, b4, accumulate);
        Put(c + 5 * (long)stride, a5, b5, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(float* c, Vector256<float> a, Vector256<float> b, bool accumulate)
    {
        if (accumulate)
        {
            a += Vector256.Load(c);
            b += Vector256.Load(c + 8);
        }

        a.Store(c);
        b.Store(c + 8);
    }
}
