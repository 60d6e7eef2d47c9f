using System.Buffers.Binary;

namespace GemmaCore.Inputs.Codecs;

/// <summary>Lossless JPEG with Huffman codes (ITU-T T.81, process 14 and annex H): each sample is its neighbours' prediction and a coded difference.</summary>
internal sealed class LosslessJpeg
{
    private const int MostTables = 4;

    private readonly JpegFrame _frame;
    private readonly CodecComplaint _complaint;
    private readonly ushort[] _samples;

    private LosslessJpeg(JpegFrame frame, CodecComplaint complaint)
    {
        (_frame, _complaint) = (frame, complaint);
        _samples = new ushort[frame.Width * frame.Height * frame.Components.Length];
    }

    /// <summary>Decodes a picture; samples are taken modulo 2^16, as the standard does it, whatever their bits are.</summary>
    /// <param name="stream">From the start of image to its end.</param>
    /// <param name="name">For complaints.</param>
    /// <param name="maxPixels">Refuse larger pictures before memory is taken.</param>
    /// <exception cref="InputException">Damaged, too large, or another kind of JPEG.</exception>
    public static CodedPicture Decode(ReadOnlySpan<byte> stream, string name, long maxPixels)
    {
        var complaint = new CodecComplaint(name, "lossless JPEG");
        var markers = new JpegMarkers(stream, complaint);
        if (!stream.StartsWith((ReadOnlySpan<byte>)[0xFF, JpegMarkers.Start])) throw complaint.Damaged("it does not begin with a start of image");
        markers.Skip(2);
        var tables = new HuffmanTable?[MostTables];
        LosslessJpeg? picture = null;
        bool[] seen = [];
        int restartInterval = 0;
        while (picture is null || seen.Contains(false))
        {
            int marker = markers.Next();
            if (marker == JpegMarkers.End) throw complaint.CutOff();
            if (marker == JpegMarkers.Start) continue;
            ReadOnlySpan<byte> segment = markers.Segment();
            switch (marker)
            {
                case JpegMarkers.FrameLossless when picture is null:
                    picture = new LosslessJpeg(JpegFrame.Read(segment, maxPixels, complaint), complaint);
                    seen = new bool[picture._frame.Components.Length];
                    break;
                case JpegMarkers.Huffman:
                    ReadTables(segment, tables, complaint);
                    break;
                case JpegMarkers.Restarts:
                    restartInterval = segment.Length >= 2 ? BinaryPrimitives.ReadUInt16BigEndian(segment) : throw complaint.CutOff();
                    break;
                case JpegMarkers.Scan:
                    if (picture is null) throw complaint.Damaged("a scan comes before the frame");
                    markers.Skip(picture.DecodeScan(segment, markers.Rest, seen, tables, restartInterval));
                    break;
                default:
                    if (JpegMarkers.IsFrame(marker) || marker == JpegMarkers.FrameLs) throw complaint.Damaged($"it is JPEG of another process (marker FF{marker:X2}), or has two frames");
                    break;
            }
        }

        JpegFrame frame = picture._frame;
        return new CodedPicture(frame.Width, frame.Height, frame.Components.Length, frame.Bits, picture._samples);
    }

    private static void ReadTables(ReadOnlySpan<byte> segment, HuffmanTable?[] tables, CodecComplaint complaint)
    {
        while (segment.Length > 0)
        {
            int place = segment[0];
            segment = segment[1..];
            if (place >= MostTables || HuffmanTable.Read(ref segment) is not { } table) throw complaint.Damaged("its Huffman tables make no sense");
            tables[place] = table;
        }
    }

    // Returns the bytes of the scan.
    private int DecodeScan(ReadOnlySpan<byte> header, ReadOnlySpan<byte> coded, bool[] seen, HuffmanTable?[] tables, int restartInterval)
    {
        int[] components = _frame.OfScan(header, seen, _complaint);
        var scan = new Scan(components, new HuffmanTable[components.Length], header[1 + 2 * components.Length], header[3 + 2 * components.Length] & 15);
        for (int i = 0; i < components.Length; i++)
        {
            int place = header[2 + 2 * i] >> 4;
            scan.Tables[i] = place < MostTables && tables[place] is { } table ? table : throw _complaint.Damaged("a scan's Huffman table is not there");
        }

        if (scan.Predictor is < 1 or > 7) throw _complaint.Damaged($"it has predictor {scan.Predictor}; there are 1 to 7");
        if (scan.Shift >= _frame.Bits) throw _complaint.Damaged("its point transform leaves no bits");
        // T.81, H.1.1: whole rows only.
        if (restartInterval % _frame.Width != 0) throw _complaint.Damaged($"its restart interval of {restartInterval} is no multiple of its width of {_frame.Width}");
        int rowsOfInterval = restartInterval / _frame.Width;
        var bits = new JpegBits(coded);
        for (int row = 0; row < _frame.Height; row++)
        {
            bool begins = row == 0;
            if (rowsOfInterval > 0 && row > 0 && row % rowsOfInterval == 0)
            {
                if (!bits.TryRestart((row / rowsOfInterval - 1) % 8)) throw _complaint.Damaged($"the restart marker before row {row + 1} is missing");
                begins = true;
            }

            if (!DecodeRow(ref bits, scan, row, begins) || bits.IsOverrun) throw _complaint.Damaged($"row {row + 1} of {_frame.Height} is damaged or cut off");
        }

        if (scan.Shift > 0)
        {
            foreach (int component in components)
                for (int i = component; i < _samples.Length; i += _frame.Components.Length) _samples[i] <<= scan.Shift;
        }

        return bits.Position;
    }

    // T.81, H.1.2.1: where a scan or interval begins, half of the range; along its first row what is left; at the left edge what is above.
    private bool DecodeRow(ref JpegBits bits, Scan scan, int row, bool begins)
    {
        int step = _frame.Components.Length, stride = _frame.Width * step;
        Span<ushort> current = _samples.AsSpan(row * stride, stride);
        ReadOnlySpan<ushort> above = begins ? current : _samples.AsSpan((row - 1) * stride, stride);
        int first = 1 << (_frame.Bits - scan.Shift - 1), predictor = begins ? 1 : scan.Predictor;
        for (int i = 0; i < scan.Components.Length; i++)
        {
            if (!TryDifference(ref bits, scan.Tables[i], out int difference)) return false;
            int at = scan.Components[i];
            current[at] = (ushort)((begins ? first : above[at]) + difference);
        }

        for (int pixel = step; pixel < stride; pixel += step)
        {
            for (int i = 0; i < scan.Components.Length; i++)
            {
                if (!TryDifference(ref bits, scan.Tables[i], out int difference)) return false;
                int at = pixel + scan.Components[i], left = current[at - step], up = above[at], corner = above[at - step];
                int prediction = predictor switch
                {
                    1 => left,
                    2 => up,
                    3 => corner,
                    4 => left + up - corner,
                    5 => left + ((up - corner) >> 1),
                    6 => up + ((left - corner) >> 1),
                    _ => (left + up) >> 1,
                };
                current[at] = (ushort)(prediction + difference);
            }
        }

        return true;
    }

    // T.81, table H.2: the coded value is the number of bits of the difference; 16 stands for 32768 and has none.
    private static bool TryDifference(ref JpegBits bits, HuffmanTable table, out int difference)
    {
        bits.Ensure32();
        int size = table.Find(bits.Peek16(), out int length);
        bits.Drop(length);
        difference = 0;
        if (length == 0 || size > 16) return false;
        if (size == 16) difference = 1 << 15;
        else if (size > 0)
        {
            difference = bits.Take(size);
            if (difference < 1 << (size - 1)) difference -= (1 << size) - 1;
        }

        return true;
    }

    /// <summary>What a scan's header says.</summary>
    private sealed record Scan(int[] Components, HuffmanTable[] Tables, int Predictor, int Shift);
}
