namespace GemmaCore.Ops;

/// <summary>
/// The inner kernel of a packed product for one vector width: a block of C that fits the registers.
/// </summary>
internal unsafe interface ITile
{
    /// <summary>Rows of C that one call computes.</summary>
    static abstract int Rows { get; }

    /// <summary>Columns of C that one call computes; the width of a packed right panel.</summary>
    static abstract int Columns { get; }

    /// <summary>
    /// C[Rows, Columns] = (or +=) Σ over depth of left[row, k]·right[k, column], k ascending, one fused chain per element.
    /// </summary>
    /// <param name="left">[Rows, <see cref="PanelScratch.LeftStride"/>].</param>
    /// <param name="right">[depth, Columns].</param>
    /// <param name="depth">Steps.</param>
    /// <param name="c">First element of the block; rows are <paramref name="stride"/> floats apart.</param>
    /// <param name="stride">See above.</param>
    /// <param name="accumulate">Add to C instead of overwriting it.</param>
    static abstract void Multiply(float* left, float* right, int depth, float* c, int stride, bool accumulate);
}

/// <summary>Plain code for processors without AVX2.</summary>
internal readonly unsafe struct TileScalar : ITile
{
    public static int Rows => 4;

    public static int Columns => 8;

    public static void Multiply(float* left, float* right, int depth, float* c, int stride, bool accumulate)
    {
        float* sums = stackalloc float[Rows * Columns];
        new Span<float>(sums, Rows * Columns).Clear();
        for (int k = 0; k < depth; k++, right += Columns)
            for (int row = 0; row < Rows; row++)
            {
                float value = left[row * PanelScratch.LeftStride + k];
                for (int column = 0; column < Columns; column++) sums[row * Columns + column] += value * right[column];
            }

        for (int row = 0; row < Rows; row++)
            for (int column = 0; column < Columns; column++)
            {
                float sum = sums[row * Columns + column];
                float* target = c + (long)row * stride + column;
                *target = accumulate ? *target + sum : sum;
            }
    }
}
