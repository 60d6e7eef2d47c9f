namespace GemmaCore.Ops;

/// <summary>
/// The inner kernel of a packed product for one vector width: a block of C that fits the registers, one or two vectors wide.
/// </summary>
internal unsafe interface ITile
{
    /// <summary>Most rows of C that one call computes.</summary>
    static abstract int Rows { get; }

    /// <summary>Floats in one vector; a packed right panel is one or two vectors wide.</summary>
    static abstract int Lanes { get; }

    /// <summary>
    /// C[rows, width] = (or +=) Σ over depth of left[row, k]·right[k, column], k ascending, one chain per element, whatever the block's size.
    /// </summary>
    /// <param name="left">[<see cref="Rows"/>, <see cref="PanelScratch.LeftStride"/>], all rows readable.</param>
    /// <param name="right">[depth, width].</param>
    /// <param name="rows">Rows wanted; up to <see cref="Rows"/>, and all of a multiple of the tile's step may be written.</param>
    /// <param name="vectors">1 or 2: width in vectors.</param>
    /// <param name="depth">Steps.</param>
    /// <param name="c">First element of the block.</param>
    /// <param name="stride">Floats between rows of C.</param>
    /// <param name="accumulate">Add to C instead of overwriting it.</param>
    static abstract void Multiply(float* left, float* right, int rows, int vectors, int depth, float* c, int stride, bool accumulate);

    /// <summary>Rows are computed in multiples of this.</summary>
    static abstract int RowStep { get; }
}


/// <summary>Plain code for processors without AVX2.</summary>
internal readonly unsafe struct TileScalar : ITile
{
    public static int Rows => 4;

    public static int RowStep => 4;

    public static int Lanes => 4;

    public static void Multiply(float* left, float* right, int rows, int vectors, int depth, float* c, int stride, bool accumulate)
    {
        int width = vectors * Lanes;
        float* sums = stackalloc float[Rows * 2 * Lanes];
        new Span<float>(sums, Rows * 2 * Lanes).Clear();
        for (int k = 0; k < depth; k++, right += width)
            for (int row = 0; row < Rows; row++)
            {
                float value = left[row * PanelScratch.LeftStride + k];
                for (int column = 0; column < width; column++) sums[row * width + column] += value * right[column];
            }

        for (int row = 0; row < Rows; row++)
            for (int column = 0; column < width; column++)
            {
                float sum = sums[row * width + column];
                float* target = c + (long)row * stride + column;
                *target = accumulate ? *target + sum : sum;
            }
    }
}
