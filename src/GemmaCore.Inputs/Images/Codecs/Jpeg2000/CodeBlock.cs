namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>Which half of the frequencies a subband has, across and down.</summary>
internal enum BandKind
{
    LowLow,
    HighLow,
    LowHigh,
    HighHigh,
}

/// <summary>How code blocks are coded (T.800, table A.19).</summary>
[Flags]
internal enum BlockStyle
{
    None = 0,
    Bypass = 1,
    Reset = 2,
    TerminateAll = 4,
    Causal = 8,
    PredictableTermination = 16,
    SegmentationSymbols = 32,
}

/// <summary>Passes that end together: their number so far, the most there can be, and the bytes they have.</summary>
internal record struct BlockSegment(int Passes, int MostPasses, int Length);

/// <summary>A rectangle of a subband's coefficients and what the packets have said of it so far.</summary>
internal sealed class CodeBlock(int left, int top, int width, int height)
{
    private const int FirstLengthBits = 3;

    /// <summary>Column of its first coefficient within the subband, from the subband's left edge.</summary>
    public int Left { get; } = left;

    /// <summary>Row of its first coefficient, likewise.</summary>
    public int Top { get; } = top;

    public int Width { get; } = width;

    public int Height { get; } = height;

    /// <summary>Whether a packet has had something of it.</summary>
    public bool IsIncluded { get; set; }

    /// <summary>Bit planes that are empty, from the highest.</summary>
    public int ZeroPlanes { get; set; }

    /// <summary>Bits of a length, Lblock of the standard.</summary>
    public int LengthBits { get; set; } = FirstLengthBits;

    public int Passes { get; set; }

    // A picture may have millions of blocks of which no packet speaks.
    public List<BlockSegment> Segments => field ??= [];

    /// <summary>Where its bytes lie in the tile's.</summary>
    public List<(int Start, int Length)> Pieces => field ??= [];
}
