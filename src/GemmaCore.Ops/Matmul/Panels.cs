using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GemmaCore.Ops;

/// <summary>Copies blocks of matrices into the layouts that <see cref="ITile"/> reads. What lies outside the matrix becomes zero.</summary>
internal static unsafe class Panels
{
    /// <summary>Rows [0, rows) of a row-major left matrix into [tileRows, <see cref="PanelScratch.LeftStride"/>].</summary>
    public static void PackLeft(float* source, int stride, int rows, int depth, int tileRows, float* panel)
    {
        for (int row = 0; row < tileRows; row++, panel += PanelScratch.LeftStride)
        {
            if (row < rows) new ReadOnlySpan<float>(source + (long)row * stride, depth).CopyTo(new Span<float>(panel, depth));
            else new Span<float>(panel, depth).Clear();
        }
    }

    /// <summary>The same from a left matrix that is stored [depth, rows].</summary>
    public static void PackLeftTransposed(float* source, int stride, int rows, int depth, int tileRows, float* panel)
    {
        for (int row = 0; row < tileRows; row++, panel += PanelScratch.LeftStride)
        {
            if (row >= rows) new Span<float>(panel, depth).Clear();
            else
                for (int k = 0; k < depth; k++) panel[k] = source[(long)k * stride + row];
        }
    }

    /// <summary>Columns [0, columns) of a right matrix stored [depth, columns] into one panel [depth, width].</summary>
    public static void PackRight<TElements>(byte* source, int stride, int columns, int depth, int width, float* panel)
        where TElements : struct, IElements
    {
        long step = (long)stride * TElements.Size;
        for (int k = 0; k < depth; k++, source += step, panel += width)
        {
            int i = 0;
            if (Vector256.IsHardwareAccelerated)
                for (; i <= columns - 8; i += 8) TElements.Load8(source + i * TElements.Size).Store(panel + i);
            for (; i < columns; i++) panel[i] = TElements.Load(source + i * TElements.Size);
            for (; i < width; i++) panel[i] = 0;
        }
    }

    /// <summary>The same from a right matrix that is stored [columns, depth].</summary>
    public static void PackRightByColumn<TElements>(byte* source, int stride, int columns, int depth, int width, float* panel)
        where TElements : struct, IElements
    {
        long step = (long)stride * TElements.Size;
        int column = 0;
        if (Avx.IsSupported)
            for (; column <= columns - 8; column += 8) Transpose8<TElements>(source + column * step, step, depth, width, panel + column);
        for (; column < columns; column++)
        {
            byte* from = source + column * step;
            for (int k = 0; k < depth; k++) panel[(long)k * width + column] = TElements.Load(from + k * TElements.Size);
        }

        for (; column < width; column++)
            for (int k = 0; k < depth; k++) panel[(long)k * width + column] = 0;
    }

    // Eight rows of the source become eight lanes. Per 8 × 8 block: pairs of rows are interleaved, then pairs of pairs, then the
    // 128-bit halves are exchanged.
    private static void Transpose8<TElements>(byte* source, long step, int depth, int width, float* panel) where TElements : struct, IElements
    {
        int k = 0;
        for (; k <= depth - 8; k += 8, panel += 8 * width)
        {
            byte* at = source + (long)k * TElements.Size;
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
