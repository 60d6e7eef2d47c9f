using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GemmaCore.Ops;

/// <summary>
/// Up to 6 × 16 elements of C in 12 of the 16 registers of AVX2: lanes are columns, a row's value of the left matrix is broadcast.
/// Spelled out because the compiler keeps only named locals in registers.
/// </summary>
internal readonly unsafe struct Tile256 : ITile
{
    public static int Rows => 6;

    public static int RowStep => 2;

    public static int Lanes => 8;

    public static void Multiply(float* left, float* right, int rows, int vectors, int depth, float* c, int stride, bool accumulate)
    {
        if (vectors == 2)
        {
            if (rows > 4) Multiply<Rows6, Two>(left, right, depth, c, stride, accumulate);
            else if (rows > 2) Multiply<Rows4, Two>(left, right, depth, c, stride, accumulate);
            else Multiply<Rows2, Two>(left, right, depth, c, stride, accumulate);
        }
        else
        {
            if (rows > 4) Multiply<Rows6, One>(left, right, depth, c, stride, accumulate);
            else if (rows > 2) Multiply<Rows4, One>(left, right, depth, c, stride, accumulate);
            else Multiply<Rows2, One>(left, right, depth, c, stride, accumulate);
        }
    }

    // The conditions are constants of each specialisation, and what they exclude is not compiled.
    private static void Multiply<TRows, TVectors>(float* left, float* right, int depth, float* c, int stride, bool accumulate)
        where TRows : struct, ICount where TVectors : struct, ICount
    {
        const int s = PanelScratch.LeftStride;
        int width = TVectors.Value * Lanes;
        Vector256<float> zero = Vector256<float>.Zero, v = zero;
        Vector256<float> a0 = zero, b0 = zero, a1 = zero, b1 = zero;
        Vector256<float> a2 = zero, b2 = zero, a3 = zero, b3 = zero;
        Vector256<float> a4 = zero, b4 = zero, a5 = zero, b5 = zero;
        for (float* end = left + depth; left < end; left++, right += width)
        {
            Vector256<float> u = Vector256.Load(right);
            if (TVectors.Value > 1) v = Vector256.Load(right + Lanes);
            Vector256<float> x0 = Vector256.Create(*left);
            a0 = Fma.MultiplyAdd(x0, u, a0);
            if (TVectors.Value > 1) b0 = Fma.MultiplyAdd(x0, v, b0);
            Vector256<float> x1 = Vector256.Create(*(left + s));
            a1 = Fma.MultiplyAdd(x1, u, a1);
            if (TVectors.Value > 1) b1 = Fma.MultiplyAdd(x1, v, b1);

            if (TRows.Value > 2)
            {
                Vector256<float> x2 = Vector256.Create(*(left + 2 * s));
                a2 = Fma.MultiplyAdd(x2, u, a2);
                if (TVectors.Value > 1) b2 = Fma.MultiplyAdd(x2, v, b2);
                Vector256<float> x3 = Vector256.Create(*(left + 3 * s));
                a3 = Fma.MultiplyAdd(x3, u, a3);
                if (TVectors.Value > 1) b3 = Fma.MultiplyAdd(x3, v, b3);
            }

            if (TRows.Value > 4)
            {
                Vector256<float> x4 = Vector256.Create(*(left + 4 * s));
                a4 = Fma.MultiplyAdd(x4, u, a4);
                if (TVectors.Value > 1) b4 = Fma.MultiplyAdd(x4, v, b4);
                Vector256<float> x5 = Vector256.Create(*(left + 5 * s));
                a5 = Fma.MultiplyAdd(x5, u, a5);
                if (TVectors.Value > 1) b5 = Fma.MultiplyAdd(x5, v, b5);
            }
        }

        Put<TVectors>(c, a0, b0, accumulate);
        Put<TVectors>(c + stride, a1, b1, accumulate);
        if (TRows.Value <= 2) return;
        Put<TVectors>(c + 2 * (long)stride, a2, b2, accumulate);
        Put<TVectors>(c + 3 * (long)stride, a3, b3, accumulate);
        if (TRows.Value <= 4) return;
        Put<TVectors>(c + 4 * (long)stride, a4, b4, accumulate);
        Put<TVectors>(c + 5 * (long)stride, a5, b5, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<TVectors>(float* c, Vector256<float> a, Vector256<float> b, bool accumulate) where TVectors : struct, ICount
    {
        (accumulate ? a + Vector256.Load(c) : a).Store(c);
        if (TVectors.Value > 1) (accumulate ? b + Vector256.Load(c + Lanes) : b).Store(c + Lanes);
    }
}
