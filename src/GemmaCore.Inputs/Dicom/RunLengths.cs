using System.Buffers.Binary;

namespace GemmaCore.Inputs.Dicom;

/// <summary>RLE Lossless (PS3.5, annex G): a plane for each byte of each sample, the upper byte first, each packed as PackBits does.</summary>
internal static class RunLengths
{
    private const int HeaderLength = 64, MostPlanes = 15;

    /// <summary>A frame as an unpacked file has it; colours come out side by side or in planes, as the file says.</summary>
    /// <exception cref="InputException">Cut off or damaged.</exception>
    public static byte[] Unpack(ReadOnlySpan<byte> packed, DicomImage image, DicomFile file)
    {
        int bytes = image.BitsAllocated / 8, planes = image.Samples * bytes, count = image.Rows * image.Columns;
        if (image.Photometric == Photometric.YbrFull422) throw DicomImage.Wrong(file, "YBR_FULL_422 cannot be packed in run lengths");
        if (packed.Length < HeaderLength || BinaryPrimitives.ReadUInt32LittleEndian(packed) != planes || planes > MostPlanes)
            throw DicomImage.Wrong(file, $"its run lengths are damaged; {planes} planes were expected");
        var unpacked = new byte[count * planes];
        var plane = new byte[count];
        for (int index = 0; index < planes; index++)
        {
            uint start = BinaryPrimitives.ReadUInt32LittleEndian(packed[(4 + 4 * index)..]);
            uint end = index + 1 < planes ? BinaryPrimitives.ReadUInt32LittleEndian(packed[(8 + 4 * index)..]) : (uint)packed.Length;
            if (start < HeaderLength || end < start || end > packed.Length || !TryUnpack(packed[(int)start..(int)end], plane))
                throw DicomImage.Wrong(file, $"its run lengths are damaged or cut off in plane {index + 1} of {planes}");
            int sample = index / bytes, place = bytes - 1 - index % bytes;
            for (int i = 0; i < count; i++)
                unpacked[image.IsPlanar ? (sample * count + i) * bytes + place : (i * image.Samples + sample) * bytes + place] = plane[i];
        }

        return unpacked;
    }

    private static bool TryUnpack(ReadOnlySpan<byte> packed, Span<byte> plane)
    {
        int from = 0, to = 0;
        while (to < plane.Length && from < packed.Length)
        {
            int control = (sbyte)packed[from++];
            if (control == -128) continue;
            int length = control >= 0 ? control + 1 : 1 - control;
            if (length > plane.Length - to || (control >= 0 ? length : 1) > packed.Length - from) return false;
            if (control >= 0)
            {
                packed.Slice(from, length).CopyTo(plane[to..]);
                from += length;
            }
            else
            {
                plane.Slice(to, length).Fill(packed[from++]);
            }

            to += length;
        }

        return to == plane.Length;
    }
}
