using System.Buffers.Binary;
using System.IO.Compression;

namespace GemmaCore.Testing.Medical;

/// <summary>Makes 16-bit PNG and TIFF files for tests.</summary>
public static class DeepPictures
{
    private static readonly (int X, int Y, int StepX, int StepY)[] Adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];

    /// <summary>A grey PNG of 16 bits; the rows take the filters in turn.</summary>
    public static byte[] Png(int width, int height, ushort[] values, bool interlaced = false)
    {
        using var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
        {
            foreach ((int x, int y, int stepX, int stepY) in interlaced ? Adam7 : [(0, 0, 1, 1)])
            {
                byte[] above = [];
                for (int row = y; row < height && x < width; row += stepY)
                {
                    byte[] bytes = [.. Steps(x, width, stepX).SelectMany(column => new[] { (byte)(values[row * width + column] >> 8), (byte)values[row * width + column] })];
                    if (above.Length == 0) above = new byte[bytes.Length];
                    int filter = row / stepY % 5;
                    zlib.WriteByte((byte)filter);
                    for (int i = 0; i < bytes.Length; i++)
                    {
                        int left = i >= 2 ? bytes[i - 2] : 0, corner = i >= 2 ? above[i - 2] : 0;
                        zlib.WriteByte((byte)(bytes[i] - (filter switch { 0 => 0, 1 => left, 2 => above[i], 3 => (left + above[i]) / 2, _ => Nearest(left, above[i], corner) })));
                    }

                    above = bytes;
                }
            }
        }

        byte[] header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[12]) = (16, interlaced ? (byte)1 : (byte)0);
        byte[] data = compressed.ToArray();
        int half = data.Length / 2;
        return [0x89, .. "PNG\r\n\u001a\n"u8, .. Chunk("IHDR"u8, header), .. Chunk("IDAT"u8, data[..half]), .. Chunk("IDAT"u8, data[half..]), .. Chunk("IEND"u8, [])];
    }

    /// <summary>An unpacked TIFF in strips of two rows, one page for each picture.</summary>
    public static byte[] Tiff(int width, int height, int bits, int format, params byte[][] pages)
    {
        List<byte> file = [.. "II*\0"u8, 8, 0, 0, 0];
        int rows = Math.Min(2, height), strips = (height + rows - 1) / rows, rowBytes = width * bits / 8;
        for (int page = 0; page < pages.Length; page++)
        {
            int directory = file.Count, lists = directory + 2 + 11 * 12 + 4, pixels = lists + 8 * strips;
            (int Tag, int Type, int Count, int Value)[] entries =
            [
                (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, strips, strips == 1 ? pixels : lists),
                (277, 3, 1, 1), (278, 4, 1, rows), (279, 4, strips, strips == 1 ? height * rowBytes : lists + 4 * strips), (284, 3, 1, 1), (339, 3, 1, format),
            ];
            file.AddRange(BitConverter.GetBytes((short)entries.Length));
            foreach ((int tag, int type, int count, int value) in entries)
                file.AddRange([.. BitConverter.GetBytes((short)tag), .. BitConverter.GetBytes((short)type), .. BitConverter.GetBytes(count), .. BitConverter.GetBytes(value)]);
            file.AddRange(BitConverter.GetBytes(page + 1 < pages.Length ? pixels + height * rowBytes : 0));
            for (int strip = 0; strip < strips; strip++) file.AddRange(BitConverter.GetBytes(pixels + strip * rows * rowBytes));
            for (int strip = 0; strip < strips; strip++) file.AddRange(BitConverter.GetBytes(Math.Min(rows, height - strip * rows) * rowBytes));
            file.AddRange(pages[page]);
        }

        return [.. file];
    }

    private static IEnumerable<int> Steps(int from, int to, int step)
    {
        for (int i = from; i < to; i += step) yield return i;
    }

    private static int Nearest(int left, int up, int corner)
    {
        int guess = left + up - corner;
        return new[] { left, up, corner }.MinBy(value => Math.Abs(guess - value));
    }

    /// <summary>A damaged PNG file whose chunks have the checksums of what they hold now, so that it is not refused for these.</summary>
    public static byte[] Summed(byte[] png)
    {
        const int signature = 8, around = 12;
        List<byte> file = [.. png.Take(signature)];
        int at = signature;
        while (png.Length - at >= around && BinaryPrimitives.ReadUInt32BigEndian(png.AsSpan(at)) is var length && length <= png.Length - at - around)
        {
            file.AddRange(Chunk(png.AsSpan(at + 4, 4), png[(at + 8)..(at + 8 + (int)length)]));
            at += around + (int)length;
        }

        return [.. file, .. png[Math.Min(at, png.Length)..]];
    }

    /// <summary>A chunk of a PNG file: length, type, content and checksum.</summary>
    public static byte[] Chunk(ReadOnlySpan<byte> type, byte[] content)
    {
        byte[] typed = [.. type, .. content], chunk = new byte[typed.Length + 8];
        BinaryPrimitives.WriteInt32BigEndian(chunk, content.Length);
        typed.CopyTo(chunk, 4);
        uint crc = uint.MaxValue;
        foreach (byte value in typed)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1)));
        }

        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(typed.Length + 4), ~crc);
        return chunk;
    }
}
