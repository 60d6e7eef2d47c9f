using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace GemmaCore.Ops;

/// <summary>
/// Up to 12 × 32 elements of C in 24 of the 32 registers of AVX-512: lanes are columns, a row's value of the left matrix is broadcast.
/// Spelled out because the compiler keeps only named locals in registers.
/// </summary>
internal readonly unsafe struct Tile512 : ITile
{
    public static int Rows => 12;

    public static int RowStep => 4;

    public static int Lanes => 16;

    public static void Multiply(float* left, float* right, int rows, int vectors, int depth, float* c, int stride, bool accumulate)
    {
        if (vectors == 2)
        {
            if (rows > 8) Multiply<Rows12, Two>(left, right, depth, c, stride, accumulate);
            else if (rows > 4) Multiply<Rows8, Two>(left, right, depth, c, stride, accumulate);
            else Multiply<Rows4, Two>(left, right, depth, c, stride, accumulate);
        }
        else
        {
            if (rows > 8) Multiply<Rows12, One>(left, right, depth, c, stride, accumulate);
            else if (rows > 4) Multiply<Rows8, One>(left, right, depth, c, stride, accumulate);
            else Multiply<Rows4, One>(left, right, depth, c, stride, accumulate);
        }
    }

    // The conditions are constants of each specialisation, and what they exclude is not compiled.
    private static void Multiply<TRows, TVectors>(float* left, float* right, int depth, float* c, int stride, bool accumulate)
        where TRows : struct, ICount where TVectors : struct, ICount
    {
        const int s = PanelScratch.LeftStride;
        int width = TVectors.Value * Lanes;
        Vector512<float> zero = Vector512<float>.Zero, v = zero;
        Vector512<float> a0 = zero, b0 = zero, a1 = zero, b1 = zero;
        Vector512<float> a2 = zero, b2 = zero, a3 = zero, b3 = zero;
        Vector512<float> a4 = zero, b4 = zero, a5 = zero, b5 = zero;
        Vector512<float> a6 = zero, b6 = zero, a7 = zero, b7 = zero;
        Vector512<float> a8 = zero, b8 = zero, a9 = zero, b9 = zero;
        Vector512<float> a10 = zero, b10 = zero, a11 = zero, b11 = zero;
        for (float* end = left + depth; left < end; left++, right += width)
        {
            Vector512<float> u = Vector512.Load(right);
            if (TVectors.Value > 1) v = Vector512.Load(right + Lanes);
            Vector512<float> x0 = Vector512.Create(*left);
            a0 = Vector512.FusedMultiplyAdd(x0, u, a0);
            if (TVectors.Value > 1) b0 = Vector512.FusedMultiplyAdd(x0, v, b0);
            Vector512<float> x1 = Vector512.Create(*(left + s));
            a1 = Vector512.FusedMultiplyAdd(x1, u, a1);
            if (TVectors.Value > 1) b1 = Vector512.FusedMultiplyAdd(x1, v, b1);
            Vector512<float> x2 = Vector512.Create(*(left + 2 * s));
            a2 = Vector512.FusedMultiplyAdd(x2, u, a2);
            if (TVectors.Value > 1) b2 = Vector512.FusedMultiplyAdd(x2, v, b2);
            Vector512<float> x3 = Vector512.Create(*(left + 3 * s));
            a3 = Vector512.FusedMultiplyAdd(x3, u, a3);
            if (TVectors.Value > 1) b3 = Vector512.FusedMultiplyAdd(x3, v, b3);

            if (TRows.Value > 4)
            {
                Vector512<float> x4 = Vector512.Create(*(left + 4 * s));
                a4 = Vector512.FusedMultiplyAdd(x4, u, a4);
                if (TVectors.Value > 1) b4 = Vector512.FusedMultiplyAdd(x4, v, b4);
                Vector512<float> x5 = Vector512.Create(*(left + 5 * s));
                a5 = Vector512.FusedMultiplyAdd(x5, u, a5);
                if (TVectors.Value > 1) b5 = Vector512.FusedMultiplyAdd(x5, v, b5);
                Vector512<float> x6 = Vector512.Create(*(left + 6 * s));
                a6 = Vector512.FusedMultiplyAdd(x6, u, a6);
                if (TVectors.Value > 1) b6 = Vector512.FusedMultiplyAdd(x6, v, b6);
                Vector512<float> x7 = Vector512.Create(*(left + 7 * s));
                a7 = Vector512.FusedMultiplyAdd(x7, u, a7);
                if (TVectors.Value > 1) b7 = Vector512.FusedMultiplyAdd(x7, v, b7);
            }

            if (TRows.Value > 8)
            {
                Vector512<float> x8 = Vector512.Create(*(left + 8 * s));
                a8 = Vector512.FusedMultiplyAdd(x8, u, a8);
                if (TVectors.Value > 1) b8 = Vector512.FusedMultiplyAdd(x8, v, b8);
                Vector512<float> x9 = Vector512.Create(*(left + 9 * s));
                a9 = Vector512.FusedMultiplyAdd(x9, u, a9);
                if (TVectors.Value > 1) b9 = Vector512.FusedMultiplyAdd(x9, v, b9);
                Vector512<float> x10 = Vector512.Create(*(left + 10 * s));
                a10 = Vector512.FusedMultiplyAdd(x10, u, a10);
                if (TVectors.Value > 1) b10 = Vector512.FusedMultiplyAdd(x10, v, b10);
                Vector512<float> x11 = Vector512.Create(*(left + 11 * s));
                a11 = Vector512.FusedMultiplyAdd(x11, u, a11);
                if (TVectors.Value > 1) b11 = Vector512.FusedMultiplyAdd(x11, v, b11);
            }
        }

        Put<TVectors>(c, a0, b0, accumulate);
        Put<TVectors>(c + stride, a1, b1, accumulate);
        Put<TVectors>(c + 2 * (long)stride, a2, b2, accumulate);
        Put<TVectors>(c + 3 * (long)stride, a3, b3, accumulate);
        if (TRows.Value <= 4) return;
        Put<TVectors>(c + 4 * (long)stride, a4, b4, accumulate);
        Put<TVectors>(c + 5 * (long)stride, a5, b5, accumulate);
        Put<TVectors>(c + 6 * (long)stride, a6, b6, accumulate);
        Put<TVectors>(c + 7 * (long)stride, a7, b7, accumulate);
        if (TRows.Value <= 8) return;
        Put<TVectors>(c + 8 * (long)stride, a8, b8, accumulate);
        Put<TVectors>(c + 9 * (long)stride, a9, b9, accumulate);
        Put<TVectors>(c + 10 * (long)stride, a10, b10, accumulate);
        Put<TVectors>(c + 11 * (long)stride, a11, b11, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<TVectors>(float* c, Vector512<float> a, Vector512<float> b, bool accumulate) where TVectors : struct, ICount
    {
        (accumulate ? a + Vector512.Load(c) : a).Store(c);
        if (TVectors.Value > 1) (accumulate ? b + Vector512.Load(c + Lanes) : b).Store(c + Lanes);
    }
}
