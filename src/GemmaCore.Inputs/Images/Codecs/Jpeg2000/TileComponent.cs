namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>A subband: which coefficients it has, where they go, and what they are worth.</summary>
/// <param name="Kind">Its frequencies.</param>
/// <param name="Area">Its coefficients, in its own coordinates.</param>
/// <param name="Left">Column of its first in the component's plane.</param>
/// <param name="Top">Row of its first.</param>
/// <param name="Planes">Bit planes of a magnitude.</param>
/// <param name="Step">What a coefficient of 1 is worth in 9/7 wavelets.</param>
internal sealed record Subband(BandKind Kind, GridArea Area, int Left, int Top, int Planes, float Step);

/// <summary>The blocks of a subband that lie in one precinct, and the trees over them.</summary>
internal sealed record PrecinctBand(Subband Band, CodeBlock[] Blocks, TagTree Inclusion, TagTree ZeroPlanes);

/// <summary>What a packet speaks of: a part of a resolution.</summary>
internal sealed class Precinct
{
    /// <summary>The first layer of which no packet has come.</summary>
    public int NextLayer { get; set; }

    /// <summary>Null until a packet has something of it.</summary>
    public PrecinctBand[]? Bands { get; set; }
}

/// <summary>A resolution of a component in a tile.</summary>
/// <param name="Area">Its samples, in its own coordinates.</param>
/// <param name="Bands">What it adds to the resolution below: one subband for the lowest, else three.</param>
/// <param name="PrecinctBits">Log2 of columns and rows of a precinct.</param>
internal sealed record Resolution(GridArea Area, Subband[] Bands, (int X, int Y) PrecinctBits)
{
    private Precinct[] _precincts = [];

    public int PrecinctsAcross => Area.IsEmpty ? 0 : Grid.CeilingShift(Area.Right, PrecinctBits.X) - (Area.Left >> PrecinctBits.X);

    public int PrecinctsDown => Area.IsEmpty ? 0 : Grid.CeilingShift(Area.Bottom, PrecinctBits.Y) - (Area.Top >> PrecinctBits.Y);

    public ReadOnlySpan<Precinct> Precincts => _precincts;

    /// <summary>Makes room for the precincts, once it is known that there are not too many.</summary>
    public void Open() => _precincts = [.. Enumerable.Range(0, PrecinctsAcross * PrecinctsDown).Select(_ => new Precinct())];

    /// <summary>The blocks of a precinct (T.800, B.6 and B.7).</summary>
    public PrecinctBand[] BandsOf(int precinct, CodingStyle style)
    {
        // Subbands of the lowest resolution are as large as it, others half.
        int half = Bands[0].Kind == BandKind.LowLow ? 0 : 1, widthBits = PrecinctBits.X - half, heightBits = PrecinctBits.Y - half;
        long left = (long)((Area.Left >> PrecinctBits.X) + precinct % PrecinctsAcross) << widthBits, top = (long)((Area.Top >> PrecinctBits.Y) + precinct / PrecinctsAcross) << heightBits;
        var whole = new GridArea((int)left, (int)top, (int)Math.Min(left + (1L << widthBits), int.MaxValue), (int)Math.Min(top + (1L << heightBits), int.MaxValue));
        return [.. Bands.Select(band => Cut(band, whole.Within(band.Area), Math.Min(style.BlockWidthBits, widthBits), Math.Min(style.BlockHeightBits, heightBits)))];
    }

    private static PrecinctBand Cut(Subband band, GridArea area, int widthBits, int heightBits)
    {
        if (area.IsEmpty) return new PrecinctBand(band, [], new TagTree(0, 0), new TagTree(0, 0));
        int firstColumn = area.Left >> widthBits, firstRow = area.Top >> heightBits;
        int across = Grid.CeilingShift(area.Right, widthBits) - firstColumn, down = Grid.CeilingShift(area.Bottom, heightBits) - firstRow;
        var blocks = new CodeBlock[across * down];
        for (int i = 0; i < blocks.Length; i++)
        {
            int column = firstColumn + i % across, row = firstRow + i / across;
            GridArea block = new GridArea(column << widthBits, row << heightBits, (column + 1) << widthBits, (row + 1) << heightBits).Within(area);
            blocks[i] = new CodeBlock(block.Left - band.Area.Left, block.Top - band.Area.Top, block.Width, block.Height);
        }

        return new PrecinctBand(band, blocks, new TagTree(across, down), new TagTree(across, down));
    }
}

/// <summary>A component in a tile, from the lowest resolution up.</summary>
/// <param name="Area">Its samples.</param>
/// <param name="Size">Its depth, and where its samples lie on the reference grid.</param>
/// <param name="Style">How it is coded.</param>
/// <param name="Shift">Bits by which coefficients of interest were moved up.</param>
/// <param name="Resolutions">One more than levels.</param>
internal sealed record TileComponent(GridArea Area, ComponentSize Size, CodingStyle Style, int Shift, Resolution[] Resolutions)
{
    // Of irreversible coefficients; T.800, E.1.1.
    private const int MantissaBits = 11;

    /// <summary>Lays out a component (T.800, B.5 and E.1).</summary>
    /// <exception cref="InputException">Its quantisation does not go with its wavelets.</exception>
    public static TileComponent Lay(GridArea tile, ComponentSize size, CodingStyle style, Quantization quantization, int shift, CodecComplaint complaint)
    {
        GridArea area = tile.Thinned(size.StepX, size.StepY);
        if (style.IsReversible != (quantization.Kind == 0)) throw complaint.Damaged("its quantisation does not go with its wavelets");
        var resolutions = new Resolution[style.Levels + 1];
        GridArea below = default;
        for (int r = 0; r <= style.Levels; r++)
        {
            int level = style.Levels - r;
            var whole = new GridArea(Grid.CeilingShift(area.Left, level), Grid.CeilingShift(area.Top, level), Grid.CeilingShift(area.Right, level), Grid.CeilingShift(area.Bottom, level));
            Subband Band(BandKind kind)
            {
                int number = r == 0 ? 0 : 3 * (r - 1) + (int)kind, depth = r == 0 ? level : level + 1;
                (int x, int y) = ((int)kind & 1, (int)kind >> 1);
                // The one at an odd place of a pair of this level: half a pair to the left and up.
                long offsetX = x == 0 ? 0 : 1L << (depth - 1), offsetY = y == 0 ? 0 : 1L << (depth - 1);
                var own = new GridArea(
                    Grid.CeilingShift(area.Left - offsetX, depth), Grid.CeilingShift(area.Top - offsetY, depth), Grid.CeilingShift(area.Right - offsetX, depth), Grid.CeilingShift(area.Bottom - offsetY, depth));
                (int exponent, int mantissa) = quantization.Step(number) ?? throw complaint.Damaged("the quantisation of a subband is missing");
                float step = MathF.ScaleB(1 + (float)mantissa / (1 << MantissaBits), size.Bits + x + y - exponent);
                return new Subband(kind, own, x * below.Width, y * below.Height, quantization.GuardBits + exponent - 1 + shift, step);
            }

            Subband[] bands = r == 0 ? [Band(BandKind.LowLow)] : [Band(BandKind.HighLow), Band(BandKind.LowHigh), Band(BandKind.HighHigh)];
            resolutions[r] = new Resolution(whole, bands, style.Precincts[r]);
            below = whole;
        }

        return new TileComponent(area, size, style, shift, resolutions);
    }
}
