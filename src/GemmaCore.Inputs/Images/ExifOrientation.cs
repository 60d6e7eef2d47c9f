using System.Buffers.Binary;

namespace GemmaCore.Inputs;

/// <summary>The orientation in the <c>eXIf</c> chunk of a PNG file, which the decoder does not look at (PNG specification, third edition; Exif 2.32, tag 0x0112).</summary>
internal static class ExifOrientation
{
    private const int Tag = 0x0112;

    /// <summary>1 to 8; 1, as stored, where the file does not say or what it says is damaged.</summary>
    public static int OfPng(ReadOnlySpan<byte> file)
    {
        for (int at = 8; at + 12 <= file.Length;)
        {
            uint length = BinaryPrimitives.ReadUInt32BigEndian(file[at..]);
            if (length > file.Length - at - 12) return 1;
            if (file.Slice(at + 4, 4).SequenceEqual("eXIf"u8)) return Of(file.Slice(at + 8, (int)length));
            at += (int)length + 12;
        }

        return 1;
    }

    // A TIFF structure: the order of bytes, where the first directory is, and its entries of 12 bytes.
    private static int Of(ReadOnlySpan<byte> exif)
    {
        if (exif.Length < 8) return 1;
        bool isBig = exif[0] == 'M';
        uint directory = isBig ? BinaryPrimitives.ReadUInt32BigEndian(exif[4..]) : BinaryPrimitives.ReadUInt32LittleEndian(exif[4..]);
        if (directory > exif.Length - 2) return 1;
        ReadOnlySpan<byte> entries = exif[(int)directory..];
        int count = Short(entries, isBig);
        for (int i = 0; i < count && 2 + 12 * (i + 1) <= entries.Length; i++)
        {
            ReadOnlySpan<byte> entry = entries.Slice(2 + 12 * i, 12);
            if (Short(entry, isBig) == Tag) return Short(entry[8..], isBig) is >= 1 and <= 8 and int orientation ? orientation : 1;
        }

        return 1;
    }

    private static int Short(ReadOnlySpan<byte> bytes, bool isBig) => isBig ? BinaryPrimitives.ReadUInt16BigEndian(bytes) : BinaryPrimitives.ReadUInt16LittleEndian(bytes);
}
