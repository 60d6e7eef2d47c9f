namespace GemmaCore.Inputs.Codecs;

/// <summary>JPEG-LS, lossless and near-lossless (ITU-T T.87), 2 to 16 bits, components one after another, line by line or sample by sample.</summary>
internal sealed class JpegLs
{
    private const int Presets = 1;

    private readonly JpegFrame _frame;
    private readonly CodecComplaint _complaint;
    private readonly ushort[] _samples;

    private JpegLs(JpegFrame frame, CodecComplaint complaint)
    {
        (_frame, _complaint) = (frame, complaint);
        _samples = new ushort[frame.Width * frame.Height * frame.Components.Length];
    }

    /// <summary>How the components of a scan are mixed (T.87, C.2.3).</summary>
    private enum Interleave
    {
        None,
        Line,
        Sample,
    }

    /// <summary>Decodes a picture.</summary>
    /// <param name="stream">From the start of image to its end.</param>
    /// <param name="name">For complaints.</param>
    /// <param name="maxPixels">Refuse larger pictures before memory is taken.</param>
    /// <exception cref="InputException">Damaged, too large, or of a kind that is not read here.</exception>
    public static CodedPicture Decode(ReadOnlySpan<byte> stream, string name, long maxPixels)
    {
        var complaint = new CodecComplaint(name, "JPEG-LS");
        var markers = new JpegMarkers(stream, complaint);
        if (!stream.StartsWith((ReadOnlySpan<byte>)[0xFF, JpegMarkers.Start])) throw complaint.Damaged("it does not begin with a start of image");
        markers.Skip(2);
        JpegLs? picture = null;
        bool[] seen = [];
        ReadOnlySpan<byte> presets = [];
        while (picture is null || seen.Contains(false))
        {
            int marker = markers.Next();
            if (marker == JpegMarkers.End) throw complaint.CutOff();
            if (marker == JpegMarkers.Start) continue;
            ReadOnlySpan<byte> segment = markers.Segment();
            switch (marker)
            {
                case JpegMarkers.FrameLs when picture is null:
                    picture = new JpegLs(JpegFrame.Read(segment, maxPixels, complaint), complaint);
                    seen = new bool[picture._frame.Components.Length];
                    break;
                case JpegMarkers.PresetsLs:
                    if (segment.Length == 0 || segment[0] != Presets) throw complaint.Unread("it has tables of values, or a size beyond 65535");
                    presets = segment[1..];
                    break;
                case JpegMarkers.Restarts when segment.ContainsAnyExcept((byte)0):
                    throw complaint.Unread("it has restart intervals");
                case JpegMarkers.Application8 when segment.Length == 5 && segment.StartsWith("mrfx"u8) && segment[4] != 0:
                    throw complaint.Unread("its colours are transformed as the standard does not know it");
                case JpegMarkers.Scan:
                    if (picture is null) throw complaint.Damaged("a scan comes before the frame");
                    markers.Skip(picture.DecodeScan(segment, markers.Rest, seen, presets));
                    break;
                default:
                    if (JpegMarkers.IsFrame(marker) || marker == JpegMarkers.FrameLs) throw complaint.Damaged($"it is JPEG of another process (marker FF{marker:X2}), or has two frames");
                    break;
            }
        }

        JpegFrame frame = picture._frame;
        return new CodedPicture(frame.Width, frame.Height, frame.Components.Length, frame.Bits, picture._samples);
    }

    // Returns the bytes of the scan.
    private int DecodeScan(ReadOnlySpan<byte> header, ReadOnlySpan<byte> coded, bool[] seen, ReadOnlySpan<byte> presets)
    {
        int[] components = _frame.OfScan(header, seen, _complaint);
        for (int i = 0; i < components.Length; i++)
            if (header[2 + 2 * i] != 0) throw _complaint.Unread("it has tables of values");
        ReadOnlySpan<byte> rest = header[(1 + 2 * components.Length)..];
        if (rest[2] != 0) throw _complaint.Unread("it has a point transform");
        var interleave = (Interleave)rest[1];
        if (interleave > Interleave.Sample || (interleave == Interleave.None) != (components.Length == 1)) throw _complaint.Damaged($"{components.Length} components in a scan cannot be mixed in way {rest[1]}");
        var coder = new JpegLsCoder(JpegLsParameters.Of(_frame.Bits, rest[0], presets, _complaint));
        var bits = new JpegLsBits(coded);

        // Two lines for each component, with a sample more at either end.
        int width = _frame.Width, step = _frame.Components.Length;
        ushort[][] above = Lines(components.Length, width), current = Lines(components.Length, width);
        var runIndices = new int[components.Length];
        for (int row = 0; row < _frame.Height; row++)
        {
            foreach (ushort[] line in above) line[width + 1] = line[width];
            for (int i = 0; i < components.Length; i++) current[i][0] = above[i][1];
            bool isSound = true;
            if (interleave == Interleave.Sample) isSound = DecodePixels(ref bits, coder, above, current, ref runIndices[0]);
            else for (int i = 0; i < components.Length; i++) isSound &= DecodeLine(ref bits, coder, above[i], current[i], ref runIndices[i]);
            if (!isSound || bits.IsOverrun) throw _complaint.Damaged($"row {row + 1} of {_frame.Height} is damaged or cut off");
            for (int i = 0; i < components.Length; i++)
            {
                ReadOnlySpan<ushort> line = current[i].AsSpan(1, width);
                Span<ushort> samples = _samples.AsSpan(row * width * step);
                if (step == 1) line.CopyTo(samples);
                else for (int x = 0; x < width; x++) samples[x * step + components[i]] = line[x];
            }

            (above, current) = (current, above);
        }

        return bits.Position;
    }

    private static ushort[][] Lines(int count, int width) => [.. Enumerable.Range(0, count).Select(_ => new ushort[width + 2])];

    private static bool DecodeLine(ref JpegLsBits bits, JpegLsCoder coder, ushort[] above, ushort[] line, ref int runIndex)
    {
        int width = line.Length - 2;
        for (int x = 1; x <= width; x++)
        {
            int ra = line[x - 1], rb = above[x], rc = above[x - 1], context = coder.ContextOf(ra, rb, rc, above[x + 1]), value;
            if (context != 0)
            {
                value = coder.Sample(ref bits, context, ra, rb, rc);
            }
            else
            {
                int length = JpegLsCoder.RunLength(ref bits, width + 1 - x, ref runIndex);
                if (length > width + 1 - x) return false;
                line.AsSpan(x, length).Fill((ushort)ra);
                x += length;
                if (x > width) break;
                value = coder.RunEnd(ref bits, runIndex, ra, above[x], likeBoth: true);
                if (runIndex > 0) runIndex--;
            }

            if (value < 0) return false;
            line[x] = (ushort)value;
        }

        return true;
    }

    // A run is one of all components, and they share what is learned.
    private static bool DecodePixels(ref JpegLsBits bits, JpegLsCoder coder, ushort[][] above, ushort[][] lines, ref int runIndex)
    {
        int width = lines[0].Length - 2;
        Span<int> contexts = stackalloc int[lines.Length];
        for (int x = 1; x <= width; x++)
        {
            for (int i = 0; i < lines.Length; i++) contexts[i] = coder.ContextOf(lines[i][x - 1], above[i][x], above[i][x - 1], above[i][x + 1]);
            bool isRun = !contexts.ContainsAnyExcept(0);
            if (isRun)
            {
                int length = JpegLsCoder.RunLength(ref bits, width + 1 - x, ref runIndex);
                if (length > width + 1 - x) return false;
                foreach (ushort[] line in lines) line.AsSpan(x, length).Fill(line[x - 1]);
                x += length;
                if (x > width) break;
            }

            for (int i = 0; i < lines.Length; i++)
            {
                int ra = lines[i][x - 1], rb = above[i][x];
                int value = isRun ? coder.RunEnd(ref bits, runIndex, ra, rb, likeBoth: false) : coder.Sample(ref bits, contexts[i], ra, rb, above[i][x - 1]);
                if (value < 0) return false;
                lines[i][x] = (ushort)value;
            }

            if (isRun && runIndex > 0) runIndex--;
        }

        return true;
    }
}
