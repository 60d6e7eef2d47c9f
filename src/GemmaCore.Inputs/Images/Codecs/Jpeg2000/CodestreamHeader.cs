using System.Buffers.Binary;

namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>A component as the header has it.</summary>
/// <param name="Bits">Of a sample.</param>
/// <param name="IsSigned">Whether samples may be negative.</param>
/// <param name="StepX">Columns of the reference grid for a sample.</param>
/// <param name="StepY">Rows of it.</param>
internal readonly record struct ComponentSize(int Bits, bool IsSigned, int StepX, int StepY);

/// <summary>The marker SIZ (T.800, A.5.1): the picture and its tiles on the reference grid.</summary>
/// <param name="Right">Column behind the picture.</param>
/// <param name="Bottom">Row behind it.</param>
/// <param name="Left">Its first column.</param>
/// <param name="Top">Its first row.</param>
/// <param name="TileWidth">Of a whole tile.</param>
/// <param name="TileHeight">Of a whole tile.</param>
/// <param name="TileLeft">Column of the first tile.</param>
/// <param name="TileTop">Row of the first tile.</param>
/// <param name="Components">What a pixel is made of.</param>
internal sealed record CodestreamHeader(int Right, int Bottom, int Left, int Top, int TileWidth, int TileHeight, int TileLeft, int TileTop, ComponentSize[] Components)
{
    private const int MostComponents = 4, MostTiles = 65_535, HighThroughput = 1 << 14;

    public int Width => Right - Left;

    public int Height => Bottom - Top;

    public int TilesAcross => Grid.CeilingDivide(Right - TileLeft, TileWidth);

    public int TilesDown => Grid.CeilingDivide(Bottom - TileTop, TileHeight);

    /// <summary>The part of the picture that lies in a tile, on the reference grid.</summary>
    public GridArea Tile(int index)
    {
        long left = TileLeft + (long)(index % TilesAcross) * TileWidth, top = TileTop + (long)(index / TilesAcross) * TileHeight;
        return new GridArea((int)Math.Max(left, Left), (int)Math.Max(top, Top), (int)Math.Min(left + TileWidth, Right), (int)Math.Min(top + TileHeight, Bottom));
    }

    /// <exception cref="InputException">Damaged, larger than allowed, or of a kind that is not read here.</exception>
    public static CodestreamHeader Read(ReadOnlySpan<byte> segment, long maxPixels, CodecComplaint complaint)
    {
        if (segment.Length < 36) throw complaint.CutOff();
        if ((BinaryPrimitives.ReadUInt16BigEndian(segment) & HighThroughput) != 0) throw complaint.Unread("it is High-Throughput JPEG 2000");
        Span<uint> numbers = stackalloc uint[8];
        for (int i = 0; i < numbers.Length; i++) numbers[i] = BinaryPrimitives.ReadUInt32BigEndian(segment[(2 + 4 * i)..]);
        int count = BinaryPrimitives.ReadUInt16BigEndian(segment[34..]);
        if (segment.Length < 36 + 3 * count || count == 0) throw complaint.CutOff();
        if (count > MostComponents) throw complaint.Unread($"it has {count} components");
        (uint right, uint bottom, uint left, uint top) = (numbers[0], numbers[1], numbers[2], numbers[3]);
        (uint tileWidth, uint tileHeight, uint tileLeft, uint tileTop) = (numbers[4], numbers[5], numbers[6], numbers[7]);
        // Twice as far would not be added up in 32 bits.
        if (right > int.MaxValue / 2 || bottom > int.MaxValue / 2) throw complaint.Unread("its reference grid is too large");
        complaint.RequireSize((long)right - left, (long)bottom - top, count, maxPixels);
        (tileWidth, tileHeight) = (Math.Min(tileWidth, int.MaxValue / 2), Math.Min(tileHeight, int.MaxValue / 2));
        if (tileWidth == 0 || tileHeight == 0 || tileLeft > left || tileTop > top || (long)tileLeft + tileWidth <= left || (long)tileTop + tileHeight <= top) throw complaint.Damaged("its tiles do not cover it");
        var components = new ComponentSize[count];
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> component = segment.Slice(36 + 3 * i, 3);
            components[i] = new ComponentSize((component[0] & 127) + 1, component[0] >> 7 == 1, component[1], component[2]);
            if (components[i].Bits > 16) throw complaint.Unread($"it has samples of {components[i].Bits} bits");
            if (components[i].Bits != components[0].Bits) throw complaint.Unread("its components have different depths");
            if (components[i].StepX == 0 || components[i].StepY == 0) throw complaint.Damaged("a component has no samples");
        }

        var header = new CodestreamHeader((int)right, (int)bottom, (int)left, (int)top, (int)tileWidth, (int)tileHeight, (int)tileLeft, (int)tileTop, components);
        return (long)header.TilesAcross * header.TilesDown <= MostTiles ? header : throw complaint.Damaged("it has more tiles than there are numbers for");
    }
}
