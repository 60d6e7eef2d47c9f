using System.Buffers.Binary;

namespace GemmaCore.Inputs;

/// <summary>
/// Looks over the directories of a TIFF file before the library does, which takes the lengths in them on trust and would set aside gigabytes for a file of a hundred bytes.
/// </summary>
internal static class TiffDirectories
{
    private const int MostPages = 4096, MostEntries = 512;

    private static readonly int[] TypeBytes = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4];

    /// <summary>False where a directory or a list of values does not lie within the file, or there are too many.</summary>
    public static bool AreSound(ReadOnlySpan<byte> file)
    {
        bool isBig = file[0] == 'M';
        uint at = Int(file[4..], isBig);
        for (int page = 0; at != 0; page++)
        {
            if (page == MostPages || at > file.Length - 6) return false;
            int entries = Short(file[(int)at..], isBig);
            if (entries is 0 or > MostEntries || at + 6L + 12 * entries > file.Length) return false;
            for (int i = 0; i < entries; i++)
            {
                ReadOnlySpan<byte> entry = file.Slice((int)at + 2 + 12 * i, 12);
                int type = Short(entry[2..], isBig);
                if (type == 0 || type >= TypeBytes.Length) return false;
                long bytes = (long)Int(entry[4..], isBig) * TypeBytes[type];
                if (bytes > 4 && Int(entry[8..], isBig) + bytes > file.Length) return false;
            }

            at = Int(file[((int)at + 2 + 12 * entries)..], isBig);
        }

        return true;
    }

    private static int Short(ReadOnlySpan<byte> bytes, bool isBig) => isBig ? BinaryPrimitives.ReadUInt16BigEndian(bytes) : BinaryPrimitives.ReadUInt16LittleEndian(bytes);

    private static uint Int(ReadOnlySpan<byte> bytes, bool isBig) => isBig ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : BinaryPrimitives.ReadUInt32LittleEndian(bytes);
}
