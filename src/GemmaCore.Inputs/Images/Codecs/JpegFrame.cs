using System.Buffers.Binary;

namespace GemmaCore.Inputs.Codecs;

/// <summary>The frame header, which JPEG (T.81, B.2.2) and JPEG-LS (T.87, C.2.2) have in common.</summary>
/// <param name="Bits">Of a sample, 2 to 16.</param>
/// <param name="Width">Pixels of a row.</param>
/// <param name="Height">Rows.</param>
/// <param name="Components">Their identifiers, in the order of the samples of a pixel.</param>
internal sealed record JpegFrame(int Bits, int Width, int Height, byte[] Components)
{
    private const int MostComponents = 4;

    /// <exception cref="InputException">Damaged, larger than allowed, or of a kind that is not read here.</exception>
    public static JpegFrame Read(ReadOnlySpan<byte> segment, long maxPixels, CodecComplaint complaint)
    {
        if (segment.Length < 6 || segment.Length < 6 + 3 * segment[5]) throw complaint.CutOff();
        int bits = segment[0], height = BinaryPrimitives.ReadUInt16BigEndian(segment[1..]), width = BinaryPrimitives.ReadUInt16BigEndian(segment[3..]), count = segment[5];
        if (bits is < 2 or > 16) throw complaint.Damaged($"it has samples of {bits} bits");
        if (count is < 1 or > MostComponents) throw complaint.Damaged($"it has {count} components");
        if (height == 0) throw complaint.Unread("its height does not stand at its beginning");
        complaint.RequireSize(width, height, count, maxPixels);
        var components = new byte[count];
        for (int i = 0; i < count; i++)
        {
            components[i] = segment[6 + 3 * i];
            if (count > 1 && segment[7 + 3 * i] != segment[7]) throw complaint.Unread("its components have different sizes");
            if (components.AsSpan(0, i).Contains(components[i])) throw complaint.Damaged("two of its components have the same name");
        }

        return new JpegFrame(bits, width, height, components);
    }

    /// <summary>The components of a scan by their number, from the pairs of its header.</summary>
    /// <exception cref="InputException">One is not there, or was there before.</exception>
    public int[] OfScan(ReadOnlySpan<byte> segment, bool[] seen, CodecComplaint complaint)
    {
        int count = segment.Length > 0 ? segment[0] : 0;
        if (count < 1 || count > Components.Length || segment.Length < 4 + 2 * count) throw complaint.Damaged("a scan has no sensible header");
        var numbers = new int[count];
        for (int i = 0; i < count; i++)
        {
            int number = Array.IndexOf(Components, segment[1 + 2 * i]);
            if (number < 0 || seen[number]) throw complaint.Damaged("a scan's component is not there, or comes twice");
            (numbers[i], seen[number]) = (number, true);
        }

        return numbers;
    }
}
