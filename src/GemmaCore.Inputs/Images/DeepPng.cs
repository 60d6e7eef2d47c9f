using System.Buffers.Binary;
using System.IO.Compression;

namespace GemmaCore.Inputs;

/// <summary>Grey PNG files of 16 bits with all their bits, for a window; SkiaSharp, which reads all other PNG files, keeps the upper eight.</summary>
internal static class DeepPng
{
    private const int HeaderEnd = 33, Grey = 0, GreyAndAlpha = 4;

    // Adam7: first column and row, and the steps to the next, of each pass.
    private static readonly (int X, int Y, int StepX, int StepY)[] Passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
    private static readonly (int X, int Y, int StepX, int StepY)[] OnePass = [(0, 0, 1, 1)];

    /// <summary>Whether a file is a grey PNG of 16 bits.</summary>
    public static bool IsOne(ReadOnlySpan<byte> file) =>
        file.Length > HeaderEnd && file[..8].SequenceEqual((ReadOnlySpan<byte>)[0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) && file[24] == 16 && file[25] is Grey or GreyAndAlpha;

    /// <summary>The values of the file, 0 to 65535.</summary>
    /// <exception cref="InputException">Too large, damaged, or cut off.</exception>
    public static GreyPicture Read(ReadOnlyMemory<byte> file, string name, long maxPixels)
    {
        ReadOnlySpan<byte> head = file.Span;
        uint width = BinaryPrimitives.ReadUInt32BigEndian(head[16..]), height = BinaryPrimitives.ReadUInt32BigEndian(head[20..]);
        if (width == 0 || height == 0) throw Damaged(name, "it has no pixels");
        if ((ulong)width * height > (ulong)Math.Min(maxPixels, Array.MaxLength / 8)) throw new InputException($"{name}: {width} x {height} pixels are more than the {maxPixels} allowed; scale the picture down first");
        int bytes = head[25] == Grey ? 2 : 4;
        var values = new double[width * height];
        using var compressed = new PngData(file, name);
        using var stream = new ZLibStream(compressed, CompressionMode.Decompress);
        try
        {
            foreach ((int x, int y, int stepX, int stepY) in head[28] == 0 ? OnePass : Passes)
            {
                int columns = ((int)width - x + stepX - 1) / stepX;
                if (columns <= 0) continue;
                byte[] row = new byte[columns * bytes], above = new byte[row.Length];
                for (int line = y; line < height; line += stepY, (row, above) = (above, row))
                {
                    int filter = stream.ReadByte();
                    stream.ReadExactly(row);
                    Unfilter(filter, row, above, bytes, name);
                    for (int column = 0; column < columns; column++) values[line * width + x + column * stepX] = BinaryPrimitives.ReadUInt16BigEndian(row.AsSpan(column * bytes));
                }
            }
        }
        catch (Exception error) when (error is InvalidDataException or IOException)
        {
            throw Damaged(name, "its pixels are damaged or cut off");
        }

        return new GreyPicture { Name = name, Width = (int)width, Height = (int)height, Values = values, DefaultWindow = GreyWindow.Full };
    }

    private static void Unfilter(int filter, Span<byte> row, ReadOnlySpan<byte> above, int bytes, string name)
    {
        for (int i = 0; i < row.Length; i++)
        {
            int left = i >= bytes ? row[i - bytes] : 0, up = above[i], corner = i >= bytes ? above[i - bytes] : 0;
            row[i] += (byte)(filter switch
            {
                0 => 0,
                1 => left,
                2 => up,
                3 => (left + up) / 2,
                4 => Paeth(left, up, corner),
                _ => throw Damaged(name, "a row is packed in no known way"),
            });
        }
    }

    private static int Paeth(int left, int up, int corner)
    {
        int guess = left + up - corner, toLeft = Math.Abs(guess - left), toUp = Math.Abs(guess - up), toCorner = Math.Abs(guess - corner);
        return toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
    }

    private static InputException Damaged(string name, string what) => new($"{name}: the PNG file is damaged: {what}");

    /// <summary>The bytes of all IDAT chunks, one after another.</summary>
    private sealed class PngData(ReadOnlyMemory<byte> file, string name) : Stream
    {
        private int _at = HeaderEnd, _left;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            while (_left == 0)
            {
                if (!NextChunk()) return 0;
            }

            int count = Math.Min(buffer.Length, _left);
            file.Span.Slice(_at, count).CopyTo(buffer);
            _at += count;
            _left -= count;
            if (_left == 0) _at += 4; // its checksum; that of the whole stream is looked at
            return count;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        // Moves to the next chunk; only those of pixels have something to read.
        private bool NextChunk()
        {
            ReadOnlySpan<byte> rest = file.Span[Math.Min(_at, file.Length)..];
            if (rest.Length < 12) return false;
            uint length = BinaryPrimitives.ReadUInt32BigEndian(rest);
            if (length > rest.Length - 12) throw Damaged(name, "a chunk is longer than the file");
            bool isPixels = rest.Slice(4, 4).SequenceEqual("IDAT"u8);
            _at += 8;
            if (isPixels && length > 0) _left = (int)length;
            else _at += (int)length + 4;
            return true;
        }
    }
}
