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

    private const long MostPieces = 1L << 31; // in a row or column of pieces without a size

    private static readonly int[] TypeBytes = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];

    /// <summary>False where a directory or a list of values does not lie within the file, where there are too many, or fewer pieces than the picture needs.</summary>
    public static bool AreSound(ReadOnlySpan<byte> file)
    {
        bool isSwapped = file[0] == 'M', isBig = TiffPicture.IsBig(file);
        // Of BigTIFF, places and counts have 64 bits.
        int countBytes = isBig ? 8 : 2, placeBytes = isBig ? 8 : 4, entryBytes = isBig ? 20 : 12;
        if (file.Length < 2 * placeBytes) return false;
        ulong at = Number(file[placeBytes..], placeBytes, isSwapped);
        for (int page = 0; at != 0; page++)
        {
            if (page == MostPages || at > (ulong)Math.Max(0, file.Length - countBytes - placeBytes)) return false;
            ReadOnlySpan<byte> directory = file[(int)at..];
            ulong entries = Number(directory, countBytes, isSwapped);
            if (entries is 0 or > MostEntries || countBytes + placeBytes + entryBytes * (int)entries > directory.Length) return false;
            var values = new Dictionary<int, (long Count, long Value)>();
            for (int i = 0; i < (int)entries; i++)
            {
                ReadOnlySpan<byte> entry = directory.Slice(countBytes + entryBytes * i, entryBytes), field = entry[(4 + placeBytes)..];
                int tag = (int)Number(entry, 2, isSwapped), type = (int)Number(entry[2..], 2, isSwapped);
                if (type >= TypeBytes.Length || TypeBytes[type] == 0) return false;
                ulong count = Number(entry[4..], placeBytes, isSwapped), place = Number(field, placeBytes, isSwapped);
                if (count > (ulong)file.Length) return false;
                ulong bytes = count * (ulong)TypeBytes[type];
                bool isInside = bytes <= (ulong)placeBytes;
                if (!isInside && (place > (ulong)file.Length || bytes > (ulong)file.Length - place)) return false;
                if (tag is StripLengths or TileLengths && !AreWithin(isInside ? field : file[(int)place..], (int)count, TypeBytes[type], isSwapped, file.Length)) return false;
                ulong value = isInside && TypeBytes[type] < placeBytes ? Number(field, TypeBytes[type], isSwapped) : place;
                values[tag] = ((long)count, (long)Math.Min(value, long.MaxValue));
            }

            if (!HasAllPieces(values)) return false;
            at = Number(directory[(countBytes + entryBytes * (int)entries)..], placeBytes, isSwapped);
        }

        return true;
    }

    // The library makes room for as many pieces as the size asks for, however few there are.
    private static bool HasAllPieces(Dictionary<int, (long Count, long Value)> values)
    {
        long Value(int tag, long fallback) => values.TryGetValue(tag, out (long Count, long Value) entry) ? entry.Value : fallback;
        long width = Value(Width, 0), height = Value(Height, 0);
        if (width is < 1 or > LargestSide || height is < 1 or > LargestSide) return false;
        if (!values.ContainsKey(TileWidth)) return values.TryGetValue(StripOffsets, out (long Count, long) strips) && Pieces(height, Value(RowsPerStrip, uint.MaxValue)) <= strips.Count;
        return values.TryGetValue(TileOffsets, out (long Count, long) tiles) && Pieces(width, Value(TileWidth, 0)) * Pieces(height, Value(TileHeight, 0)) <= tiles.Count;
    }

    // No packed piece is longer than the file.
    private static bool AreWithin(ReadOnlySpan<byte> list, int count, int bytes, bool isSwapped, int fileLength)
    {
        if (bytes is not (2 or 4 or 8)) return false;
        for (int i = 0; i < count; i++)
            if (Number(list[(bytes * i)..], bytes, isSwapped) > (ulong)fileLength) return false;
        return true;
    }

    private static long Pieces(long whole, long part) => part > 0 ? whole / part + (whole % part == 0 ? 0 : 1) : MostPieces;

    private static ulong Number(ReadOnlySpan<byte> bytes, int length, bool isSwapped) => (length, isSwapped) switch
    {
        (1, _) => bytes[0],
        (2, true) => BinaryPrimitives.ReadUInt16BigEndian(bytes),
        (2, false) => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
        (4, true) => BinaryPrimitives.ReadUInt32BigEndian(bytes),
        (4, false) => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        (_, true) => BinaryPrimitives.ReadUInt64BigEndian(bytes),
        (_, false) => BinaryPrimitives.ReadUInt64LittleEndian(bytes),
    };
}
