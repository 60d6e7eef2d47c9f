using System.Buffers.Binary;

namespace GemmaCore.Inputs;

/// <summary>
/// Looks over the directories of a TIFF file before the library does, which takes the lengths in them on trust and would set aside gigabytes for a file of a hundred bytes.
/// </summary>
internal static class TiffDirectories
{
    private const int MostPages = 4096, MostEntries = 512;

    // Tags of a picture's size and of the strips or tiles that it is cut into (TIFF 6.0).
    private const int Width = 256, Height = 257, StripOffsets = 273, RowsPerStrip = 278, StripLengths = 279, TileWidth = 322, TileHeight = 323, TileOffsets = 324, TileLengths = 325, LargestSide = 1 << 20;

    private static readonly int[] TypeBytes = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4];

    /// <summary>False where a directory or a list of values does not lie within the file, where there are too many, or fewer pieces than the picture needs.</summary>
    public static bool AreSound(ReadOnlySpan<byte> file)
    {
        bool isBig = file[0] == 'M';
        uint at = Int(file[4..], isBig);
        for (int page = 0; at != 0; page++)
        {
            if (page == MostPages || at > file.Length - 6) return false;
            int entries = Short(file[(int)at..], isBig);
            if (entries is 0 or > MostEntries || at + 6L + 12 * entries > file.Length) return false;
            var values = new Dictionary<int, (uint Count, uint Value)>();
            for (int i = 0; i < entries; i++)
            {
                ReadOnlySpan<byte> entry = file.Slice((int)at + 2 + 12 * i, 12);
                int type = Short(entry[2..], isBig);
                if (type == 0 || type >= TypeBytes.Length) return false;
                long bytes = (long)Int(entry[4..], isBig) * TypeBytes[type];
                if (bytes > 4 && Int(entry[8..], isBig) + bytes > file.Length) return false;
                if (Short(entry, isBig) is StripLengths or TileLengths && !AreWithin(bytes > 4 ? file[(int)Int(entry[8..], isBig)..] : entry[8..], (int)Int(entry[4..], isBig), TypeBytes[type], isBig, file.Length))
                    return false;
                values[Short(entry, isBig)] = (Int(entry[4..], isBig), TypeBytes[type] == 2 ? (uint)Short(entry[8..], isBig) : Int(entry[8..], isBig));
            }

            if (!HasAllPieces(values)) return false;

            at = Int(file[((int)at + 2 + 12 * entries)..], isBig);
        }

        return true;
    }

    // The library makes room for as many pieces as the size asks for, however few there are.
    private static bool HasAllPieces(Dictionary<int, (uint Count, uint Value)> values)
    {
        long Value(int tag, uint fallback) => values.TryGetValue(tag, out (uint Count, uint Value) entry) ? entry.Value : fallback;
        long width = Value(Width, 0), height = Value(Height, 0);
        if (width is < 1 or > LargestSide || height is < 1 or > LargestSide) return false;
        if (!values.ContainsKey(TileWidth)) return values.TryGetValue(StripOffsets, out (uint Count, uint) strips) && Pieces(height, Value(RowsPerStrip, uint.MaxValue)) <= strips.Count;
        return values.TryGetValue(TileOffsets, out (uint Count, uint) tiles) && Pieces(width, Value(TileWidth, 0)) * Pieces(height, Value(TileHeight, 0)) <= tiles.Count;
    }

    // No packed piece is longer than the file.
    private static bool AreWithin(ReadOnlySpan<byte> list, int count, int bytes, bool isBig, int fileLength)
    {
        if (bytes is not (2 or 4)) return false;
        for (int i = 0; i < count; i++)
            if ((bytes == 2 ? (uint)Short(list[(2 * i)..], isBig) : Int(list[(4 * i)..], isBig)) > fileLength) return false;
        return true;
    }

    private static long Pieces(long whole, long part) => part > 0 ? (whole + part - 1) / part : long.MaxValue / LargestSide / 2;

    private static int Short(ReadOnlySpan<byte> bytes, bool isBig) => isBig ? BinaryPrimitives.ReadUInt16BigEndian(bytes) : BinaryPrimitives.ReadUInt16LittleEndian(bytes);

    private static uint Int(ReadOnlySpan<byte> bytes, bool isBig) => isBig ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : BinaryPrimitives.ReadUInt32LittleEndian(bytes);
}
