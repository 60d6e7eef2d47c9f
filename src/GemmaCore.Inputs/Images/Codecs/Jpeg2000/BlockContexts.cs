namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>What a coefficient's flags say of it and its neighbours, and the contexts that follow (T.800, tables D.1 to D.4).</summary>
internal static class BlockContexts
{
    public const int NorthEast = 1, SouthEast = 2, SouthWest = 4, NorthWest = 8, North = 16, East = 32, South = 64, West = 128, Neighbours = 255;
    public const int NegativeNorth = 1 << 8, NegativeEast = 1 << 9, NegativeSouth = 1 << 10, NegativeWest = 1 << 11;
    public const int Significant = 1 << 12, Refined = 1 << 13, Visited = 1 << 14, Negative = 1 << 15;

    /// <summary>What a coefficient of the last row of a stripe may not know in vertically causal contexts.</summary>
    public const int Below = SouthEast | South | SouthWest | NegativeSouth;

    private const int FirstSign = 9, FirstRefinement = 14;

    /// <summary>Contexts of significance, 0 to 8, by the kind of subband (LL, HL, LH, HH) and, in the lower 8 bits, the significant neighbours.</summary>
    public static byte[] Significance { get; } = [.. Enumerable.Range(0, 4 << 8).Select(index => SignificanceOf(index >> 8, index & 255))];

    /// <summary>Twice the contexts of signs, one more where the sign is turned round, by the flags from <see cref="North"/> to <see cref="NegativeWest"/>.</summary>
    public static byte[] Signs { get; } = [.. Enumerable.Range(0, 256).Select(index => SignOf(index << 4))];

    /// <summary>The context of a refinement.</summary>
    public static int Refinement(int flags) => (flags & Refined) != 0 ? FirstRefinement + 2 : (flags & Neighbours) != 0 ? FirstRefinement + 1 : FirstRefinement;

    private static byte SignificanceOf(int band, int flags)
    {
        int Has(int flag) => (flags & flag) != 0 ? 1 : 0;
        int h = Has(East) + Has(West), v = Has(North) + Has(South), d = Has(NorthEast) + Has(SouthEast) + Has(SouthWest) + Has(NorthWest);
        if (band == (int)BandKind.HighHigh)
        {
            int both = h + v;
            return (byte)(d switch { >= 3 => 8, 2 => both >= 1 ? 7 : 6, 1 => both >= 2 ? 5 : both == 1 ? 4 : 3, _ => Math.Min(both, 2) });
        }

        if (band == (int)BandKind.HighLow) (h, v) = (v, h);
        return (byte)(h switch { 2 => 8, 1 => v >= 1 ? 7 : d >= 1 ? 6 : 5, _ => v == 2 ? 4 : v == 1 ? 3 : Math.Min(d, 2) });
    }

    private static byte SignOf(int flags)
    {
        int One(int significant, int negative) => (flags & significant) == 0 ? 0 : (flags & negative) == 0 ? 1 : -1;
        int h = Math.Clamp(One(East, NegativeEast) + One(West, NegativeWest), -1, 1), v = Math.Clamp(One(North, NegativeNorth) + One(South, NegativeSouth), -1, 1);
        bool turns = h < 0 || (h == 0 && v < 0);
        if (turns) (h, v) = (-h, -v);
        int context = FirstSign + (h == 1 ? 3 + v : v);
        return (byte)(context << 1 | (turns ? 1 : 0));
    }
}
