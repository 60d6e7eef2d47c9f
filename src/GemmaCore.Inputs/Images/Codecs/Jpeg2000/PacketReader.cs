using System.Numerics;

namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>Reads the packets of a tile: which blocks get how many passes, and where their bytes lie (T.800, B.9 and B.10).</summary>
internal ref struct PacketReader(ReadOnlySpan<byte> data, long maxWork, CodecComplaint complaint)
{
    private const int StartOfPacket = 0x91, EndOfHeader = 0x92, StartLength = 6, EndLength = 2, MostLengthBits = 31;

    private readonly ReadOnlySpan<byte> _data = data;
    private int _at;

    // Blocks that packets look at, and places in the order of packets that are passed by; a few bytes can ask for millions, layer by layer.
    private long _work = maxWork;

    /// <summary>Reads all packets.</summary>
    /// <exception cref="InputException">Cut off or damaged.</exception>
    public void ReadAll(GridArea tile, TileComponent[] components, CodingParameters parameters)
    {
        int layers = parameters.Tile.Layers;
        long precincts = components.SelectMany(component => component.Resolutions).Sum(resolution => (long)resolution.PrecinctsAcross * resolution.PrecinctsDown), packets = precincts * layers;
        // Even an empty one has a byte.
        if (packets > _data.Length) throw complaint.CutOff();
        foreach (Resolution resolution in components.SelectMany(component => component.Resolutions)) resolution.Open();
        List<ProgressionChange> changes = parameters.Changes;
        if (changes.Count == 0) changes = [new ProgressionChange(0, 0, layers, components.Max(component => component.Resolutions.Length), components.Length, parameters.Tile.Progression)];
        foreach (ProgressionChange change in changes)
        {
            if (packets == 0) break;
            Spend(precincts);
            int endResolution = Math.Min(change.EndResolution, components.Max(component => component.Resolutions.Length));
            foreach (PacketPlace place in PacketOrder.Of(tile, components, change with { EndLayer = Math.Min(change.EndLayer, layers), EndResolution = endResolution }))
            {
                TileComponent component = components[place.Component];
                Resolution resolution = component.Resolutions[place.Resolution];
                Precinct precinct = resolution.Precincts[place.Precinct];
                if (place.Layer != precinct.NextLayer)
                {
                    Spend(1);
                    continue;
                }

                Read(resolution, place, precinct, component.Style);
                precinct.NextLayer++;
                packets--;
            }
        }

        if (packets > 0) throw complaint.Damaged("the order of its packets leaves some out");
    }

    private void Read(Resolution resolution, PacketPlace place, Precinct precinct, CodingStyle style)
    {
        if (Has(StartOfPacket, StartLength)) _at += StartLength;
        var bits = new PacketBits(_data, _at, complaint);
        List<(CodeBlock Block, int Segment, int Length)> bodies = [];
        if (bits.Next() == 1)
        {
            precinct.Bands ??= resolution.BandsOf(place.Precinct, style);
            foreach (PrecinctBand band in precinct.Bands)
            {
                Spend(band.Blocks.Length);
                for (int i = 0; i < band.Blocks.Length; i++) ReadBlock(ref bits, band, i, place.Layer, style.Style, bodies);
            }
        }

        _at = bits.End();
        if (Has(EndOfHeader, EndLength)) _at += EndLength;
        foreach ((CodeBlock block, int segment, int length) in bodies)
        {
            if (length > _data.Length - _at) throw complaint.CutOff();
            block.Segments[segment] = block.Segments[segment] with { Length = block.Segments[segment].Length + length };
            if (length > 0) block.Pieces.Add((_at, length));
            _at += length;
        }
    }

    private void ReadBlock(ref PacketBits bits, PrecinctBand band, int number, int layer, BlockStyle style, List<(CodeBlock Block, int Segment, int Length)> bodies)
    {
        CodeBlock block = band.Blocks[number];
        if (!block.IsIncluded)
        {
            if (!band.Inclusion.IsBelow(ref bits, number, layer + 1)) return;
            block.IsIncluded = true;
            int threshold = 1;
            while (!band.ZeroPlanes.IsBelow(ref bits, number, threshold))
                if (++threshold > band.Band.Planes) throw complaint.Damaged("a code block has more empty bit planes than there are");
            block.ZeroPlanes = band.ZeroPlanes.Value(number);
        }
        else if (bits.Next() == 0)
        {
            return;
        }

        int passes = ReadPasses(ref bits);
        while (bits.Next() == 1) block.LengthBits++;
        while (passes > 0)
        {
            if (block.Segments.Count == 0 || block.Segments[^1].Passes == block.Segments[^1].MostPasses) block.Segments.Add(new BlockSegment(0, BlockDecoder.PassesOfSegment(block.Passes, style), 0));
            BlockSegment segment = block.Segments[^1];
            int share = Math.Min(passes, segment.MostPasses - segment.Passes), lengthBits = block.LengthBits + BitOperations.Log2((uint)share);
            if (lengthBits > MostLengthBits) throw complaint.Damaged("a code block is longer than any picture");
            block.Segments[^1] = segment with { Passes = segment.Passes + share };
            bodies.Add((block, block.Segments.Count - 1, bits.Take(lengthBits)));
            block.Passes += share;
            passes -= share;
        }
    }

    private void Spend(long work)
    {
        _work -= work;
        if (_work < 0) throw complaint.Damaged("its packets ask for more work than its pixels are worth");
    }

    // T.800, table B.4.
    private static int ReadPasses(ref PacketBits bits)
    {
        if (bits.Next() == 0) return 1;
        if (bits.Next() == 0) return 2;
        int few = bits.Take(2);
        if (few < 3) return 3 + few;
        int more = bits.Take(5);
        return more < 31 ? 6 + more : 37 + bits.Take(7);
    }

    private readonly bool Has(int marker, int length) => _at + length <= _data.Length && _data[_at] == 0xFF && _data[_at + 1] == marker;
}
