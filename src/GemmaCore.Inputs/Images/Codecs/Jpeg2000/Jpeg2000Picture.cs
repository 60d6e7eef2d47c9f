using System.Buffers.Binary;

namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>
/// JPEG 2000, Part 1 (ITU-T T.800): codestreams, bare or in a JP2 file, of up to four components of up to 16 bits. Packed packet headers (PPM, PPT) are refused by name, and so are Part 2's mixtures of
/// components and High-Throughput coding.
/// </summary>
internal sealed class Jpeg2000Picture
{
    private const int StartOfCodestream = 0xFF4F, Size = 0xFF51, StartOfTile = 0xFF90, StartOfData = 0xFF93, End = 0xFFD9, PackedMain = 0xFF60, PackedTile = 0xFF61;

    private readonly CodecComplaint _complaint;
    private readonly CodestreamHeader _header;
    private readonly CodingParameters _main;
    private readonly TileParts?[] _tiles;

    private Jpeg2000Picture(CodestreamHeader header, CodecComplaint complaint)
    {
        (_header, _complaint) = (header, complaint);
        _main = new CodingParameters(header.Components.Length, complaint);
        _tiles = new TileParts?[header.TilesAcross * header.TilesDown];
    }

    /// <summary>Decodes a picture; components of fewer samples than pixels are repeated.</summary>
    /// <param name="stream">The codestream, or a JP2 file with one.</param>
    /// <param name="name">For complaints.</param>
    /// <param name="maxPixels">Refuse larger pictures before memory is taken.</param>
    /// <exception cref="InputException">Damaged, too large, or of a kind that is not read here.</exception>
    public static CodedPicture Decode(ReadOnlySpan<byte> stream, string name, long maxPixels)
    {
        var complaint = new CodecComplaint(name, "JPEG 2000");
        stream = Unwrapped(stream);
        int at = 0;
        if (Marker(stream, ref at, complaint) != StartOfCodestream || Marker(stream, ref at, complaint) != Size) throw complaint.Damaged("it does not begin with a codestream");
        var picture = new Jpeg2000Picture(CodestreamHeader.Read(Segment(stream, ref at, complaint), maxPixels, complaint), complaint);
        picture.ReadParts(stream, at);

        CodestreamHeader header = picture._header;
        var decoder = new TileDecoder(header, complaint);
        var samples = new ushort[header.Width * header.Height * header.Components.Length];
        for (int i = 0; i < picture._tiles.Length; i++)
        {
            if (picture._tiles[i] is not { } parts) throw complaint.CutOff();
            decoder.Decode(header.Tile(i), parts.Parameters, parts.Join(stream), samples);
        }

        return new CodedPicture(header.Width, header.Height, header.Components.Length, header.Components[0].Bits, samples);
    }

    // The box "jp2c" of a JP2 file (T.800, annex I); anything else as it is.
    private static ReadOnlySpan<byte> Unwrapped(ReadOnlySpan<byte> stream)
    {
        if (!stream.StartsWith((ReadOnlySpan<byte>)[0, 0, 0, 12, .. "jP  "u8])) return stream;
        for (ReadOnlySpan<byte> rest = stream; rest.Length >= 8;)
        {
            ulong length = BinaryPrimitives.ReadUInt32BigEndian(rest);
            int head = 8;
            if (length == 1 && rest.Length >= 16) (length, head) = (BinaryPrimitives.ReadUInt64BigEndian(rest[8..]), 16);
            if (length == 0) length = (ulong)rest.Length;
            if (length < (ulong)head || length > (ulong)rest.Length) break;
            if (rest[4..8].SequenceEqual("jp2c"u8)) return rest[head..(int)length];
            rest = rest[(int)length..];
        }

        return [];
    }

    private static int Marker(ReadOnlySpan<byte> stream, ref int at, CodecComplaint complaint)
    {
        if (at + 2 > stream.Length) throw complaint.CutOff();
        int marker = BinaryPrimitives.ReadUInt16BigEndian(stream[at..]);
        if (marker < 0xFF00) throw complaint.Damaged("a marker is missing");
        at += 2;
        return marker;
    }

    private static ReadOnlySpan<byte> Segment(ReadOnlySpan<byte> stream, ref int at, CodecComplaint complaint)
    {
        int length = at + 2 <= stream.Length ? BinaryPrimitives.ReadUInt16BigEndian(stream[at..]) : 0;
        if (length < 2 || length > stream.Length - at) throw complaint.CutOff();
        ReadOnlySpan<byte> segment = stream.Slice(at + 2, length - 2);
        at += length;
        return segment;
    }

    private void ReadParts(ReadOnlySpan<byte> stream, int at)
    {
        ReadHeader(stream, ref at, _main, StartOfTile);
        while (true)
        {
            int start = at - 2;
            ReadOnlySpan<byte> segment = Segment(stream, ref at, _complaint);
            if (segment.Length < 8) throw _complaint.CutOff();
            int number = BinaryPrimitives.ReadUInt16BigEndian(segment);
            uint length = BinaryPrimitives.ReadUInt32BigEndian(segment[2..]);
            if (number >= _tiles.Length) throw _complaint.Damaged("a tile is not there");
            TileParts tile = _tiles[number] ??= new TileParts(_main.ForTile());
            ReadHeader(stream, ref at, tile.Parameters, StartOfData);
            // A length of 0 reaches to the end of the codestream.
            bool isLast = length == 0;
            long end = isLast ? stream.Length : start + (long)length;
            if (end < at || end > stream.Length) throw _complaint.CutOff();
            if (isLast && stream.EndsWith((ReadOnlySpan<byte>)[0xFF, 0xD9]) && end - 2 >= at) end -= 2;
            tile.Pieces.Add((at, (int)end - at));
            at = (int)end;
            // Some leave the end's marker out.
            int next = at + 2 > stream.Length ? End : Marker(stream, ref at, _complaint);
            if (next == End) return;
            if (next != StartOfTile) throw _complaint.Damaged($"marker {next:X4} stands between two tiles");
        }
    }

    private void ReadHeader(ReadOnlySpan<byte> stream, ref int at, CodingParameters parameters, int end)
    {
        for (int marker = Marker(stream, ref at, _complaint); marker != end; marker = Marker(stream, ref at, _complaint))
        {
            if (marker is PackedMain or PackedTile) throw _complaint.Unread("the headers of its packets are packed together");
            if (marker is StartOfTile or StartOfData or End) throw _complaint.Damaged("a header ends too early");
            parameters.Read(marker, Segment(stream, ref at, _complaint));
        }
    }

    /// <summary>What the codestream has of a tile.</summary>
    private sealed record TileParts(CodingParameters Parameters)
    {
        public List<(int Start, int Length)> Pieces { get; } = [];

        public ReadOnlySpan<byte> Join(ReadOnlySpan<byte> stream)
        {
            if (Pieces is [var (start, length)]) return stream.Slice(start, length);
            var joined = new byte[Pieces.Sum(piece => (long)piece.Length)];
            int at = 0;
            foreach ((int from, int count) in Pieces)
            {
                stream.Slice(from, count).CopyTo(joined.AsSpan(at));
                at += count;
            }

            return joined;
        }
    }
}
