using System.Buffers.Binary;
using System.IO.Compression;

namespace GemmaCore.Testing.Medical;

/// <summary>Makes small NIfTI files of int16 for tests.</summary>
public static class NiftiWriter
{
    /// <summary>A volume of int16, first axis fastest.</summary>
    /// <param name="size">Voxels along the three axes.</param>
    /// <param name="values">The numbers.</param>
    /// <param name="directions">Rows of the s-form, [3, 3]: right, front, up of a step along each axis; null for none.</param>
    /// <param name="isSecond">NIfTI-2.</param>
    /// <param name="isBig">Big endian.</param>
    /// <param name="isPacked">gzip.</param>
    /// <param name="slope">What the numbers are multiplied by; 0 for nothing.</param>
    /// <param name="intercept">What is added.</param>
    public static byte[] File(int[] size, IEnumerable<short> values, int[][]? directions = null, bool isSecond = false, bool isBig = false, bool isPacked = false, float slope = 0, float intercept = 0)
    {
        int length = isSecond ? 540 : 348, offset = isSecond ? 544 : 352;
        byte[] head = new byte[offset];
        void Put(int at, byte[] littleEndian) => (isBig ? [.. littleEndian.Reverse()] : littleEndian).CopyTo(head, at);
        Put(0, BitConverter.GetBytes(length));
        (isSecond ? "n+2\0\r\n\u001a\n"u8 : "n+1\0"u8).CopyTo(head.AsSpan(isSecond ? 4 : 344));
        for (int axis = 0; axis <= 3; axis++)
        {
            int dimension = axis == 0 ? 3 : size[axis - 1];
            if (isSecond) Put(16 + 8 * axis, BitConverter.GetBytes((long)dimension));
            else Put(40 + 2 * axis, BitConverter.GetBytes((short)dimension));
        }

        Put(isSecond ? 12 : 70, BitConverter.GetBytes((short)4));
        if (isSecond)
        {
            Put(168, BitConverter.GetBytes((long)offset));
            Put(176, BitConverter.GetBytes((double)slope));
            Put(184, BitConverter.GetBytes((double)intercept));
        }
        else
        {
            Put(108, BitConverter.GetBytes((float)offset));
            Put(112, BitConverter.GetBytes(slope));
            Put(116, BitConverter.GetBytes(intercept));
        }

        if (directions is not null)
        {
            if (isSecond) Put(348, BitConverter.GetBytes(1));
            else Put(254, BitConverter.GetBytes((short)1));
            for (int row = 0; row < 3; row++)
            {
                for (int column = 0; column < 3; column++)
                {
                    if (isSecond) Put(400 + 32 * row + 8 * column, BitConverter.GetBytes((double)directions[row][column]));
                    else Put(280 + 16 * row + 4 * column, BitConverter.GetBytes((float)directions[row][column]));
                }
            }
        }

        byte[] file = [.. head, .. values.SelectMany(value => BitConverter.GetBytes(isBig ? BinaryPrimitives.ReverseEndianness(value) : value))];
        return isPacked ? Packed(file) : file;
    }

    public static byte[] Packed(byte[] file)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true)) gzip.Write(file);
        return packed.ToArray();
    }
}
