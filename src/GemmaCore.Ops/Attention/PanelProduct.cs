namespace GemmaCore.Ops;

/// <summary>
/// C[rows, width] = (or +=) A[rows, depth]·B[depth, width], the one product attention is made of. A is read in place, element by
/// element, with any strides (broadcast over the lanes): keys and values need no packing, whether A is K, V or a transpose of them.
/// B and C are packed scratch of <c>width</c> floats a row, a multiple of two vectors. Every sum runs over depth in order.
/// </summary>
internal static unsafe class PanelProduct<TLanes, TVector> where TLanes : struct, IVectors<TVector> where TVector : struct
{
    public static void Run(float* a, nint aRow, nint aDepth, float* b, float* c, int rows, int depth, int width, bool accumulate)
    {
        int row = 0;
        if (TLanes.ManyRegisters)
        {
            for (; row <= rows - 8; row += 8)
                for (int lane = 0; lane < width; lane += 2 * TLanes.Count)
                    Eight(a + row * aRow, aRow, aDepth, b + lane, c + (nint)row * width + lane, depth, width, accumulate);
        }

        for (; row <= rows - 4; row += 4)
            for (int lane = 0; lane < width; lane += 2 * TLanes.Count)
                Four(a + row * aRow, aRow, aDepth, b + lane, c + (nint)row * width + lane, depth, width, accumulate);
        for (; row < rows; row++)
            for (int lane = 0; lane < width; lane += 2 * TLanes.Count)
                One(a + row * aRow, aDepth, b + lane, c + (nint)row * width + lane, depth, width, accumulate);
    }

    private static void Eight(float* a, nint aRow, nint aDepth, float* b, float* c, int depth, nint width, bool accumulate)
    {
        int w = TLanes.Count;
        TVector c00 = Start(c, accumulate), c01 = Start(c + w, accumulate);
        TVector c10 = Start(c + width, accumulate), c11 = Start(c + width + w, accumulate);
        TVector c20 = Start(c + 2 * width, accumulate), c21 = Start(c + 2 * width + w, accumulate);
        TVector c30 = Start(c + 3 * width, accumulate), c31 = Start(c + 3 * width + w, accumulate);
        TVector c40 = Start(c + 4 * width, accumulate), c41 = Start(c + 4 * width + w, accumulate);
        TVector c50 = Start(c + 5 * width, accumulate), c51 = Start(c + 5 * width + w, accumulate);
        TVector c60 = Start(c + 6 * width, accumulate), c61 = Start(c + 6 * width + w, accumulate);
        TVector c70 = Start(c + 7 * width, accumulate), c71 = Start(c + 7 * width + w, accumulate);
        // Three multiples of the row stride in registers reach eight rows from two pointers.
        nint row2 = 2 * aRow, row3 = 3 * aRow;
        float* a4 = a + 4 * aRow;
        for (int d = 0; d < depth; d++)
        {
            TVector b0 = TLanes.Load(b), b1 = TLanes.Load(b + w);
            TVector s = TLanes.All(a[0]);
            (c00, c01) = (TLanes.MultiplyAdd(s, b0, c00), TLanes.MultiplyAdd(s, b1, c01));
            s = TLanes.All(a[aRow]);
            (c10, c11) = (TLanes.MultiplyAdd(s, b0, c10), TLanes.MultiplyAdd(s, b1, c11));
            s = TLanes.All(a[row2]);
            (c20, c21) = (TLanes.MultiplyAdd(s, b0, c20), TLanes.MultiplyAdd(s, b1, c21));
            s = TLanes.All(a[row3]);
            (c30, c31) = (TLanes.MultiplyAdd(s, b0, c30), TLanes.MultiplyAdd(s, b1, c31));
            s = TLanes.All(a4[0]);
            (c40, c41) = (TLanes.MultiplyAdd(s, b0, c40), TLanes.MultiplyAdd(s, b1, c41));
            s = TLanes.All(a4[aRow]);
            (c50, c51) = (TLanes.MultiplyAdd(s, b0, c50), TLanes.MultiplyAdd(s, b1, c51));
            s = TLanes.All(a4[row2]);
            (c60, c61) = (TLanes.MultiplyAdd(s, b0, c60), TLanes.MultiplyAdd(s, b1, c61));
            s = TLanes.All(a4[row3]);
            (c70, c71) = (TLanes.MultiplyAdd(s, b0, c70), TLanes.MultiplyAdd(s, b1, c71));
            a += aDepth;
            a4 += aDepth;
            b += width;
        }

        Store(c, c00, c01);
        Store(c + width, c10, c11);
        Store(c + 2 * width, c20, c21);
        Store(c + 3 * width, c30, c31);
        Store(c + 4 * width, c40, c41);
        Store(c + 5 * width, c50, c51);
        Store(c + 6 * width, c60, c61);
        Store(c + 7 * width, c70, c71);
    }

    private static void Four(float* a, nint aRow, nint aDepth, float* b, float* c, int depth, nint width, bool accumulate)
    {
        int w = TLanes.Count;
        TVector c00 = Start(c, accumulate), c01 = Start(c + w, accumulate);
        TVector c10 = Start(c + width, accumulate), c11 = Start(c + width + w, accumulate);
        TVector c20 = Start(c + 2 * width, accumulate), c21 = Start(c + 2 * width + w, accumulate);
        TVector c30 = Start(c + 3 * width, accumulate), c31 = Start(c + 3 * width + w, accumulate);
        nint row2 = 2 * aRow, row3 = 3 * aRow;
        for (int d = 0; d < depth; d++)
        {
            TVector b0 = TLanes.Load(b), b1 = TLanes.Load(b + w);
            TVector s = TLanes.All(a[0]);
            (c00, c01) = (TLanes.MultiplyAdd(s, b0, c00), TLanes.MultiplyAdd(s, b1, c01));
            s = TLanes.All(a[aRow]);
            (c10, c11) = (TLanes.MultiplyAdd(s, b0, c10), TLanes.MultiplyAdd(s, b1, c11));
            s = TLanes.All(a[row2]);
            (c20, c21) = (TLanes.MultiplyAdd(s, b0, c20), TLanes.MultiplyAdd(s, b1, c21));
            s = TLanes.All(a[row3]);
            (c30, c31) = (TLanes.MultiplyAdd(s, b0, c30), TLanes.MultiplyAdd(s, b1, c31));
            a += aDepth;
            b += width;
        }

        Store(c, c00, c01);
        Store(c + width, c10, c11);
        Store(c + 2 * width, c20, c21);
        Store(c + 3 * width, c30, c31);
    }

    private static void One(float* a, nint aDepth, float* b, float* c, int depth, nint width, bool accumulate)
    {
        TVector c0 = Start(c, accumulate), c1 = Start(c + TLanes.Count, accumulate);
        for (int d = 0; d < depth; d++)
        {
            TVector s = TLanes.All(*a);
            c0 = TLanes.MultiplyAdd(s, TLanes.Load(b), c0);
            c1 = TLanes.MultiplyAdd(s, TLanes.Load(b + TLanes.Count), c1);
            a += aDepth;
            b += width;
        }

        Store(c, c0, c1);
    }

    private static TVector Start(float* c, bool accumulate) => accumulate ? TLanes.Load(c) : TLanes.All(0);

    private static void Store(float* c, TVector v0, TVector v1)
    {
        TLanes.Store(v0, c);
        TLanes.Store(v1, c + TLanes.Count);
    }
}
