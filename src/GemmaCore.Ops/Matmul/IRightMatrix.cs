namespace GemmaCore.Ops;

/// <summary>The right matrix of a packed product, however it is stored.</summary>
internal unsafe interface IRightMatrix
{
    /// <summary>
    /// Writes columns [<paramref name="firstColumn"/>, + <paramref name="columns"/>) at the steps [<paramref name="k"/>, + <paramref name="depth"/>) into the
    /// thread's right panels (see <see cref="Panels"/>).
    /// </summary>
    void Pack(int firstColumn, int columns, int k, int depth, int lanes, PanelScratch scratch);
}

/// <summary>A right matrix of plain elements.</summary>
internal readonly unsafe struct DenseRight<TElements>(in GemmSizes sizes) : IRightMatrix where TElements : struct, IElements
{
    private readonly byte* _source = (byte*)sizes.Right;
    private readonly int _stride = sizes.RightStride;
    private readonly bool _byColumn = sizes.RightByColumn;

    public void Pack(int firstColumn, int columns, int k, int depth, int lanes, PanelScratch scratch)
    {
        if (_byColumn)
            Panels.PackRightByColumn<TElements>(_source + ((long)firstColumn * _stride + k) * TElements.Size, _stride, columns, depth, lanes, scratch.Right);
        else
            Panels.PackRight<TElements>(_source + ((long)k * _stride + firstColumn) * TElements.Size, _stride, columns, depth, lanes, scratch.Right);
    }
}

/// <summary>Rows of a matrix that must be computed to be read.</summary>
internal unsafe interface IWeightRows
{
    /// <summary>Elements of a row.</summary>
    int Columns { get; }

    /// <summary>Writes elements [<paramref name="first"/>, + <paramref name="count"/>) of a row as floats.</summary>
    void Read(int row, int first, int count, float* target);
}

/// <summary>A right matrix whose pieces are dequantised on their way into the panels: once for all rows of the left matrix that pass by.</summary>
/// <param name="rows">[O, K].</param>
/// <param name="byColumn">True for x·wᵀ, where the rows are the product's columns; false for dY·w.</param>
internal readonly unsafe struct DequantizedRight<TRows>(TRows rows, bool byColumn) : IRightMatrix where TRows : struct, IWeightRows
{
    public void Pack(int firstColumn, int columns, int k, int depth, int lanes, PanelScratch scratch)
    {
        float* piece = scratch.Piece;
        if (byColumn)
        {
            for (int i = 0; i < columns; i++) rows.Read(firstColumn + i, k, depth, piece + i * depth);
            Panels.PackRightByColumn<F32Elements>((byte*)piece, depth, columns, depth, lanes, scratch.Right);
        }
        else
        {
            for (int i = 0; i < depth; i++) rows.Read(k + i, firstColumn, columns, piece + i * columns);
            Panels.PackRight<F32Elements>((byte*)piece, columns, columns, depth, lanes, scratch.Right);
        }
    }
}
