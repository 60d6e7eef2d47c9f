using System.Buffers.Binary;

namespace GemmaCore.Inputs;

/// <summary>
/// The first frame of a GIF file as Pillow gives it in RGB: what is transparent keeps its colour of the palette, and what the frame leaves of the screen has that of the
/// transparent index, or of index 0 (observed; format: GIF89a specification).
/// </summary>
internal static class GifPicture
{
    private const int LargestCode = 4096;

    // First row and distance of the rows of each pass of an interlaced frame.
    private static readonly (int First, int Step)[] Passes = [(0, 8), (4, 8), (2, 4), (1, 2)];

    /// <summary>Decodes it.</summary>
    /// <exception cref="InputException">The file is cut off or damaged, or larger than allowed.</exception>
    public static RgbImage Read(ReadOnlySpan<byte> file, string name, long maxPixels)
    {
        try
        {
            int width = BinaryPrimitives.ReadUInt16LittleEndian(file[6..]), height = BinaryPrimitives.ReadUInt16LittleEndian(file[8..]), at = 13;
            ReadOnlySpan<byte> palette = Palette(file, file[10], ref at);
            int transparent = 0;
            while (file[at] != ',')
            {
                if (file[at] != '!') throw Damaged(name);
                bool isControl = file[at + 1] == 0xf9;
                at += 2;
                if (isControl && file[at] >= 4 && (file[at + 1] & 1) != 0) transparent = file[at + 4];
                while (file[at] != 0) at += file[at] + 1;
                at++;
            }

            int left = BinaryPrimitives.ReadUInt16LittleEndian(file[(at + 1)..]), top = BinaryPrimitives.ReadUInt16LittleEndian(file[(at + 3)..]);
            int columns = BinaryPrimitives.ReadUInt16LittleEndian(file[(at + 5)..]), rows = BinaryPrimitives.ReadUInt16LittleEndian(file[(at + 7)..]), flags = file[at + 9];
            at += 10;
            ReadOnlySpan<byte> own = Palette(file, flags, ref at);
            if (own.Length > 0) palette = own;
            (width, height) = (Math.Max(width, left + columns), Math.Max(height, top + rows));
            if (columns == 0 || rows == 0) throw Damaged(name);
            ImageDecoder.RequireSize(name, width, height, maxPixels);
            var indices = new byte[columns * rows];
            if (Unpack(file[at..], indices) < indices.Length) throw Damaged(name);
            var screen = new byte[width * height];
            screen.AsSpan().Fill((byte)transparent);
            int row = 0;
            foreach ((int first, int step) in (flags & 0x40) != 0 ? Passes : [(0, 1)])
                for (int y = first; y < rows; y += step, row++) indices.AsSpan(row * columns, columns).CopyTo(screen.AsSpan((top + y) * width + left));
            return new RgbImage(width, height, Coloured(screen, palette));
        }
        catch (Exception error) when (error is ArgumentOutOfRangeException or IndexOutOfRangeException)
        {
            throw Damaged(name);
        }
    }

    private static InputException Damaged(string name) => new($"{name}: the picture is damaged or cut off");

    private static ReadOnlySpan<byte> Palette(ReadOnlySpan<byte> file, int flags, ref int at)
    {
        int bytes = (flags & 0x80) != 0 ? 3 << ((flags & 7) + 1) : 0;
        at += bytes;
        return file.Slice(at - bytes, bytes);
    }

    // Indices that the palette does not have are grey.
    private static byte[] Coloured(byte[] screen, ReadOnlySpan<byte> palette)
    {
        var pixels = new byte[screen.Length * 3];
        for (int i = 0; i < screen.Length; i++)
        {
            int index = screen[i];
            if (3 * index < palette.Length) palette.Slice(3 * index, 3).CopyTo(pixels.AsSpan(3 * i));
            else pixels.AsSpan(3 * i, 3).Fill((byte)index);
        }

        return pixels;
    }

    // Variable-length codes of LZW, over blocks of up to 255 bytes. A code is its prefix's string and one more byte; strings are written from their ends.
    private static int Unpack(ReadOnlySpan<byte> data, Span<byte> indices)
    {
        int start = data[0], clear = 1 << start, next = clear + 2, width = start + 1, previous = -1, count = 0, at = 1, block = 0, bits = 0, held = 0;
        if (start is < 1 or > 8) return 0;
        Span<int> prefix = new int[LargestCode];
        Span<byte> last = stackalloc byte[LargestCode], text = stackalloc byte[LargestCode];
        while (count < indices.Length)
        {
            while (held < width)
            {
                if (block == 0 && (block = data[at++]) == 0) return count;
                bits |= data[at++] << held;
                (held, block) = (held + 8, block - 1);
            }

            int code = bits & ((1 << width) - 1);
            (bits, held) = (bits >> width, held - width);
            if (code == clear)
            {
                (next, width, previous) = (clear + 2, start + 1, -1);
                continue;
            }

            if (code == clear + 1) return count;
            if (code > next || (code == next && previous < 0)) return count;
            int length = 0, walk = code;
            if (code == next)
            {
                length = 1; // its last byte is the first of the string before, known below
                walk = previous;
            }

            for (; walk >= clear; walk = prefix[walk]) text[length++] = last[walk];
            text[length++] = (byte)walk;
            if (code == next) text[0] = (byte)walk;
            for (int i = length - 1; i >= 0 && count < indices.Length; i--) indices[count++] = text[i];
            if (previous >= 0 && next < LargestCode)
            {
                (prefix[next], last[next]) = (previous, (byte)walk);
                if (++next == 1 << width && width < 12) width++;
            }

            previous = code;
        }

        return count;
    }
}
