using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GemmaCore.Ops;

/// <summary>
/// Copies blocks of matrices into the layouts that <see cref="ITile"/> reads. A right block becomes panels two vectors wide (the last one or
/// two, as needed), each [depth, width], one behind the other. What lies outside the matrix becomes zero.
/// </summary>
internal static unsafe class Panels
{
    // A block takes short pieces of rows that lie far apart, where the processor does not fetch ahead by itself.
    private const int RowsAhead = 8;

    /// <summary>Rows [0, rows) of a row-major left matrix into [packedRows, <see cref="PanelScratch.LeftStride"/>].</summary>
    public static void PackLeft(float* source, int stride, int rows, int depth, int packedRows, float* panel)
    {
        for (int row = 0; row < packedRows; row++, panel += PanelScratch.LeftStride)
        {
            if (row < rows) new ReadOnlySpan<float>(source + (long)row * stride, depth).CopyTo(new Span<float>(panel, depth));
            else new Span<float>(panel, depth).Clear();
        }
    }

    /// <summary>The same from a left matrix that is stored [depth, rows].</summary>
    public static void PackLeftTransposed(float* source, int stride, int rows, int depth, int packedRows, float* panel)
    {
        int row = 0;
        if (Avx.IsSupported)
            for (; row <= rows - 4; row += 4) Transpose4(source + row, stride, depth, panel + row * PanelScratch.LeftStride);
        for (; row < rows; row++)
            for (int k = 0; k < depth; k++) panel[row * PanelScratch.LeftStride + k] = source[(long)k * stride + row];
        for (; row < packedRows; row++) new Span<float>(panel + row * PanelScratch.LeftStride, depth).Clear();
    }

    /// <summary>Columns [0, columns) of a right matrix stored [depth, columns].</summary>
    public static void PackRight<TElements>(byte* source, int stride, int columns, int depth, int lanes, float* panels)
        where TElements : struct, IElements
    {
        long step = (long)stride * TElements.Size;
        for (int k = 0; k < depth; k++, source += step)
        {
            float* panel = panels;
            for (int column = 0; column < columns;)
            {
                int width = Width(columns - column, lanes), used = Math.Min(width, columns - column), i = 0;
                byte* from = source + (long)column * TElements.Size;
                float* to = panel + (long)k * width;
                if (Sse.IsSupported) Sse.Prefetch0(from + RowsAhead * step);
                if (Avx512F.IsSupported)
                    for (; i <= used - 16; i += 16) TElements.Load16(from + i * TElements.Size).Store(to + i);
                if (Vector256.IsHardwareAccelerated)
                    for (; i <= used - 8; i += 8) TElements.Load8(from + i * TElements.Size).Store(to + i);
                for (; i < used; i++) to[i] = TElements.Load(from + i * TElements.Size);
                for (; i < width; i++) to[i] = 0;
                panel += (long)depth * width;
                column += used;
            }
        }
    }

    /// <summary>The same from a right matrix that is stored [columns, depth].</summary>
    public static void PackRightByColumn<TElements>(byte* source, int stride, int columns, int depth, int lanes, float* panels)
        where TElements : struct, IElements
    {
        long step = (long)stride * TElements.Size;
        for (int first = 0; first < columns;)
        {
            int width = Width(columns - first, lanes), used = Math.Min(width, columns - first), column = 0;
            if (Avx.IsSupported)
                for (; column <= used - 8; column += 8) Transpose8<TElements>(source + (first + column) * step, step, depth, width, panels + column);
            for (; column < used; column++)
            {
                byte* from = source + (first + column) * step;
                for (int k = 0; k < depth; k++) panels[(long)k * width + column] = TElements.Load(from + (long)k * TElements.Size);
            }

            for (; column < width; column++)
                for (int k = 0; k < depth; k++) panels[(long)k * width + column] = 0;
            panels += (long)depth * width;
            first += used;
        }
    }

    private static int Width(int columns, int lanes) => columns > lanes ? 2 * lanes : lanes;

    // Four columns of the source become four rows of the panel.
    private static void Transpose4(float* source, int stride, int depth, float* panel)
    {
        int k = 0;
        for (; k <= depth - 4; k += 4)
        {
            float* at = source + (long)k * stride;
            Vector128<float> r0 = Vector128.Load(at), r1 = Vector128.Load(at + stride);
            Vector128<float> r2 = Vector128.Load(at + 2L * stride), r3 = Vector128.Load(at + 3L * stride);
            Vector128<float> p0 = Sse.UnpackLow(r0, r1), p1 = Sse.UnpackHigh(r0, r1), p2 = Sse.UnpackLow(r2, r3), p3 = Sse.UnpackHigh(r2, r3);
            Sse.MoveLowToHigh(p0, p2).Store(panel + k);
            Sse.MoveHighToLow(p2, p0).Store(panel + PanelScratch.LeftStride + k);
            Sse.MoveLowToHigh(p1, p3).Store(panel + 2 * PanelScratch.LeftStride + k);
            Sse.MoveHighToLow(p3, p1).Store(panel + 3 * PanelScratch.LeftStride + k);
        }

        for (; k < depth; k++)
            for (int row = 0; row < 4; row++) panel[row * PanelScratch.LeftStride + k] = source[(long)k * stride + row];
    }

    // Eight rows of the source become eight lanes. Per 8 × 8 block: pairs of rows are interleaved, then pairs of pairs, then the
    // 128-bit halves are exchanged.
    private static void Transpose8<TElements>(byte* source, long step, int depth, int width, float* panel) where TElements : struct, IElements
    {
        int k = 0;
        for (; k <= depth - 8; k += 8, panel += 8 * width)
        {
            byte* at = source + (long)k * TElements.Size;
            if (k * TElements.Size % 64 == 0)
                for (int row = RowsAhead; row < 2 * RowsAhead; row++) Sse.Prefetch0(at + row * step);
            Vector256<float> r0 = TElements.Load8(at), r1 = TElements.Load8(at + step);
            Vector256<float> r2 = TElements.Load8(at + 2 * step), r3 = TElements.Load8(at + 3 * step);
            at += 4 * step;
            Vector256<float> r4 = TElements.Load8(at), r5 = TElements.Load8(at + step);
            Vector256<float> r6 = TElements.Load8(at + 2 * step), r7 = TElements.Load8(at + 3 * step);
            Vector256<double> p0 = Avx.UnpackLow(r0, r1).AsDouble(), p1 = Avx.UnpackHigh(r0, r1).AsDouble();
            Vector256<double> p2 = Avx.UnpackLow(r2, r3).AsDouble(), p3 = Avx.UnpackHigh(r2, r3).AsDouble();
            Vector256<double> p4 = Avx.UnpackLow(r4, r5).AsDouble(), p5 = Avx.UnpackHigh(r4, r5).AsDouble();
            Vector256<double> p6 = Avx.UnpackLow(r6, r7).AsDouble(), p7 = Avx.UnpackHigh(r6, r7).AsDouble();
            Exchange(Avx.UnpackLow(p0, p2), Avx.UnpackLow(p4, p6), panel, panel + 4 * width);
            Exchange(Avx.UnpackHigh(p0, p2), Avx.UnpackHigh(p4, p6), panel + width, panel + 5 * width);
            Exchange(Avx.UnpackLow(p1, p3), Avx.UnpackLow(p5, p7), panel + 2 * width, panel + 6 * width);
            Exchange(Avx.UnpackHigh(p1, p3), Avx.UnpackHigh(p5, p7), panel + 3 * width, panel + 7 * width);
        }

        for (; k < depth; k++, panel += width)
            for (int lane = 0; lane < 8; lane++) panel[lane] = TElements.Load(source + lane * step + (long)k * TElements.Size);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Exchange(Vector256<double> low, Vector256<double> high, float* first, float* second)
    {
        Avx.Permute2x128(low, high, 0x20).AsSingle().Store(first);
        Avx.Permute2x128(low, high, 0x31).AsSingle().Store(second);
    }
}
