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

    private const int ChunkBytes = 1 << 16;

    /// <summary>False where a directory or a list of values does not lie within the file, where there are too many, or fewer pieces than the picture needs.</summary>
    /// <param name="file">Of any length.</param>
    /// <param name="isBig">Places and counts have 64 bits.</param>
    /// <param name="isSwapped">The upper byte of a number comes first.</param>
    public static bool AreSound(Stream file, bool isBig, bool isSwapped)
    {
        int countBytes = isBig ? 8 : 2, placeBytes = isBig ? 8 : 4, entryBytes = isBig ? 20 : 12;
        var buffer = new byte[MostEntries * 20];
        if (!TryRead(file, placeBytes, buffer.AsSpan(0, placeBytes))) return false;
        ulong at = Number(buffer, placeBytes, isSwapped), length = (ulong)file.Length;
        for (int page = 0; at != 0; page++)
        {
            if (page == MostPages || at > length || !TryRead(file, (long)at, buffer.AsSpan(0, countBytes))) return false;
            ulong entries = Number(buffer, countBytes, isSwapped);
            if (entries is 0 or > MostEntries || !TryRead(file, (long)at + countBytes, buffer.AsSpan(0, entryBytes * (int)entries))) return false;
            var values = new Dictionary<int, (long Count, long Value)>();
            for (int i = 0; i < (int)entries; i++)
            {
                ReadOnlySpan<byte> entry = buffer.AsSpan(entryBytes * i, entryBytes), field = entry[(4 + placeBytes)..];
                int tag = (int)Number(entry, 2, isSwapped), type = (int)Number(entry[2..], 2, isSwapped);
                if (type >= TypeBytes.Length || TypeBytes[type] == 0) return false;
                ulong count = Number(entry[4..], placeBytes, isSwapped), place = Number(field, placeBytes, isSwapped);
                if (count > length) return false;
                ulong bytes = count * (ulong)TypeBytes[type];
                bool isInside = bytes <= (ulong)placeBytes;
                if (!isInside && (place > length || bytes > length - place)) return false;
                if (tag is StripLengths or TileLengths && !(isInside ? AreWithin(field[..(int)bytes], TypeBytes[type], isSwapped, length) : AreWithin(file, (long)place, (long)bytes, TypeBytes[type], isSwapped))) return false;
                ulong value = isInside && TypeBytes[type] < placeBytes ? Number(field, TypeBytes[type], isSwapped) : place;
                values[tag] = ((long)count, (long)Math.Min(value, long.MaxValue));
            }

            if (!HasAllPieces(values) || !TryRead(file, (long)at + countBytes + entryBytes * (int)entries, buffer.AsSpan(0, placeBytes))) return false;
            at = Number(buffer, placeBytes, isSwapped);
        }

        return true;
    }

    private static bool TryRead(Stream file, long at, Span<byte> bytes)
    {
        if (at > file.Length - bytes.Length) return false;
        file.Position = at;
        return file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) == bytes.Length;
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
    private static bool AreWithin(Stream file, long at, long length, int bytes, bool isSwapped)
    {
        var chunk = new byte[Math.Min(length, ChunkBytes)];
        for (long end = at + length; at < end; at += chunk.Length)
        {
            Span<byte> part = chunk.AsSpan(0, (int)Math.Min(chunk.Length, end - at));
            if (!TryRead(file, at, part) || !AreWithin(part, bytes, isSwapped, (ulong)file.Length)) return false;
        }

        return true;
    }

    private static bool AreWithin(ReadOnlySpan<byte> list, int bytes, bool isSwapped, ulong fileLength)
    {
        if (bytes is not (2 or 4 or 8)) return false;
        for (int i = 0; i < list.Length; i += bytes)
            if (Number(list[i..], bytes, isSwapped) > fileLength) return false;
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
