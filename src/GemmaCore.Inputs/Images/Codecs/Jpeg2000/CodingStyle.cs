using System.Buffers.Binary;

namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>How the packets of a tile follow one another (T.800, table A.16).</summary>
internal enum Progression
{
    LayerResolution,
    ResolutionLayer,
    ResolutionPosition,
    PositionComponent,
    ComponentPosition,
}

/// <summary>What holds for all components of a tile (T.800, table A.14).</summary>
internal readonly record struct TileStyle(Progression Progression, int Layers, bool MixesComponents);

/// <summary>How a component is transformed and cut into blocks (markers COD and COC; T.800, tables A.15 and A.20).</summary>
/// <param name="Levels">Of the wavelet transform.</param>
/// <param name="BlockWidthBits">Log2 of a block's columns.</param>
/// <param name="BlockHeightBits">Log2 of its rows.</param>
/// <param name="Style">How blocks are coded.</param>
/// <param name="IsReversible">Wavelets of whole numbers (5/3) instead of 9/7.</param>
/// <param name="Precincts">Log2 of columns and rows of a precinct, by resolution.</param>
internal sealed record CodingStyle(int Levels, int BlockWidthBits, int BlockHeightBits, BlockStyle Style, bool IsReversible, (int X, int Y)[] Precincts)
{
    private const int MostLevels = 32, MostBlockBits = 12, MostSideBits = 10, HighThroughput = 64, WholePrecinct = 15;

    /// <summary>The segment COD.</summary>
    /// <exception cref="InputException">Damaged, or of a kind that is not read here.</exception>
    public static (TileStyle Tile, CodingStyle Component) Read(ReadOnlySpan<byte> segment, CodecComplaint complaint)
    {
        if (segment.Length < 10) throw complaint.CutOff();
        int layers = BinaryPrimitives.ReadUInt16BigEndian(segment[2..]);
        if (segment[1] > (int)Progression.ComponentPosition || layers == 0) throw complaint.Damaged("its packets have no sensible order");
        if (segment[4] > 1) throw complaint.Unread("its components are mixed in a way of its own");
        return (new TileStyle((Progression)segment[1], layers, segment[4] == 1), ReadComponent(segment[0], segment[5..], complaint));
    }

    /// <summary>The part that COD and COC have in common.</summary>
    /// <param name="flags">Whether sizes of precincts are written.</param>
    /// <param name="segment">From the number of levels on.</param>
    /// <param name="complaint">What to throw.</param>
    /// <exception cref="InputException">Damaged, or of a kind that is not read here.</exception>
    public static CodingStyle ReadComponent(int flags, ReadOnlySpan<byte> segment, CodecComplaint complaint)
    {
        if (segment.Length < 5) throw complaint.CutOff();
        int levels = segment[0], width = (segment[1] & 15) + 2, height = (segment[2] & 15) + 2, style = segment[3];
        if (levels > MostLevels) throw complaint.Damaged($"it has {levels} levels of wavelets");
        if (width > MostSideBits || height > MostSideBits || width + height > MostBlockBits) throw complaint.Damaged("its code blocks are too large");
        if ((style & HighThroughput) != 0) throw complaint.Unread("it is High-Throughput JPEG 2000");
        if (style > 63 || segment[4] > 1) throw complaint.Damaged("its coding style is unknown");
        var precincts = new (int X, int Y)[levels + 1];
        bool areWritten = (flags & 1) == 1;
        if (areWritten && segment.Length < 5 + precincts.Length) throw complaint.CutOff();
        for (int i = 0; i < precincts.Length; i++)
        {
            precincts[i] = areWritten ? (segment[5 + i] & 15, segment[5 + i] >> 4) : (WholePrecinct, WholePrecinct);
            if (i > 0 && (precincts[i].X == 0 || precincts[i].Y == 0)) throw complaint.Damaged("its precincts are smaller than a coefficient");
        }

        return new CodingStyle(levels, width, height, (BlockStyle)style, segment[4] == 1, precincts);
    }
}

/// <summary>How coefficients became whole numbers (markers QCD and QCC; T.800, A.6.4 and E.1).</summary>
/// <param name="GuardBits">Bit planes above those that a subband should need.</param>
/// <param name="Kind">0: not at all; 1: one step, halved from level to level; 2: a step for each subband.</param>
/// <param name="Steps">Exponent and mantissa (of 11 bits), by subband from the lowest.</param>
internal sealed record Quantization(int GuardBits, int Kind, (int Exponent, int Mantissa)[] Steps)
{
    /// <exception cref="InputException">Damaged.</exception>
    public static Quantization Read(ReadOnlySpan<byte> segment, CodecComplaint complaint)
    {
        int kind = segment.Length > 0 ? segment[0] & 31 : 3;
        if (kind > 2) throw complaint.Damaged("its quantisation is unknown");
        int size = kind == 0 ? 1 : 2;
        var steps = new (int, int)[kind == 1 ? 1 : (segment.Length - 1) / size];
        if (steps.Length == 0 || segment.Length < 1 + size) throw complaint.CutOff();
        for (int i = 0; i < steps.Length; i++)
        {
            int step = kind == 0 ? segment[1 + i] << 8 : BinaryPrimitives.ReadUInt16BigEndian(segment[(1 + 2 * i)..]);
            steps[i] = (step >> 11, step & 0x7FF);
        }

        return new Quantization(segment[0] >> 5, kind, steps);
    }

    /// <summary>The step of a subband, counted from the lowest; null where it is not written.</summary>
    public (int Exponent, int Mantissa)? Step(int band)
    {
        if (Kind != 1) return band < Steps.Length ? Steps[band] : null;
        // T.800, E.5: one exponent less for each level; three subbands a level, but one in the lowest.
        int exponent = Steps[0].Exponent - (band == 0 ? 0 : (band - 1) / 3);
        return exponent >= 0 ? (exponent, Steps[0].Mantissa) : null;
    }
}

/// <summary>A stretch of packets in an order of its own (marker POC; T.800, A.6.6); ends lie behind.</summary>
internal readonly record struct ProgressionChange(int FirstResolution, int FirstComponent, int EndLayer, int EndResolution, int EndComponent, Progression Progression);
