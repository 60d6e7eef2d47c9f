using System.Buffers.Binary;
using GemmaCore.Inputs.Codecs;
using GemmaCore.Inputs.Codecs.Jpeg2000;

namespace GemmaCore.Inputs.Dicom;

/// <summary>The frames of a file, unpacked: numbers for grey pictures, red, green and blue for others.</summary>
internal sealed class DicomPixels(DicomFile file, DicomImage image)
{
    private List<ReadOnlyMemory<byte>>? _fragments;

    /// <summary>The numbers of a grey or palette frame, as they are stored: [Rows, Columns].</summary>
    /// <param name="frame">From 0.</param>
    /// <exception cref="InputException">Cut off or damaged.</exception>
    public int[] Stored(int frame)
    {
        if (file.Syntax.Packing == PixelPacking.Jpeg) return [.. Reds(Jpeg(frame))];
        var stored = new int[image.Rows * image.Columns];
        if (IsCoded)
        {
            CodedPicture decoded = Coded(frame);
            int shift = decoded.Bits > image.BitsStored ? image.Shift : 0; // some encoders leave the bits below out
            for (int i = 0; i < stored.Length; i++) stored[i] = Number(decoded.Samples[i] >> shift);
            return stored;
        }

        ReadOnlySpan<byte> raw = Raw(frame).Span;
        for (int i = 0; i < stored.Length; i++) stored[i] = Number((image.BitsAllocated == 8 ? raw[i] : BinaryPrimitives.ReadUInt16LittleEndian(raw[(2 * i)..])) >> image.Shift);
        return stored;
    }

    /// <summary>A frame in colours.</summary>
    /// <param name="frame">From 0.</param>
    /// <exception cref="InputException">Cut off or damaged.</exception>
    public RgbImage Colours(int frame)
    {
        if (image.Photometric == Photometric.Palette) return Palette(Stored(frame));
        if (file.Syntax.Packing == PixelPacking.Jpeg) return Jpeg(frame);
        ReadOnlySpan<byte> raw = IsCoded ? Array.ConvertAll(Coded(frame).Samples, sample => (byte)sample) : Raw(frame).Span;
        int count = image.Rows * image.Columns;
        var pixels = new byte[3 * count];
        for (int i = 0; i < count; i++)
        {
            // Of YBR_FULL_422 two pixels lie together: Y1 Y2 Cb Cr. Codecs hand out whole pixels, whatever the file says of planes.
            (byte first, byte second, byte third) = image.Photometric == Photometric.YbrFull422 && !IsCoded
                ? (raw[4 * (i / 2) + i % 2], raw[4 * (i / 2) + 2], raw[4 * (i / 2) + 3])
                : image.IsPlanar && !IsCoded ? (raw[i], raw[count + i], raw[2 * count + i]) : (raw[3 * i], raw[3 * i + 1], raw[3 * i + 2]);
            if (image.Photometric != Photometric.Rgb) (first, second, third) = YcbcrColour.Rgb(first, second, third);
            (pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]) = (first, second, third);
        }

        return new RgbImage(image.Columns, image.Rows, pixels);
    }

    private bool IsCoded => file.Syntax.Packing is PixelPacking.LosslessJpeg or PixelPacking.JpegLs or PixelPacking.Jpeg2000;

    // One frame's bytes as an unpacked file has them.
    private ReadOnlyMemory<byte> Raw(int frame)
    {
        if (image.Photometric == Photometric.YbrFull422 && image.Columns % 2 != 0) throw DicomImage.Wrong(file, "YBR_FULL_422 needs an even number of columns");
        if (file.Syntax.Packing == PixelPacking.RunLengths) return RunLengths.Unpack(Fragment(frame).Span, image, file);
        if (file.Data.Find(DicomTag.PixelData) is not { IsOpen: false } pixels) throw DicomImage.Wrong(file, "its pixels are packed, and its transfer syntax says that they are not");
        long begin = frame * image.FrameBytes;
        if (begin + image.FrameBytes > pixels.Length)
            throw DicomImage.Wrong(file, $"frame {frame + 1} needs {image.FrameBytes} bytes of pixels, and {Math.Max(0, pixels.Length - begin)} are there");
        return file.Content.Slice(pixels.Start + (int)begin, (int)image.FrameBytes);
    }

    private RgbImage Jpeg(int frame)
    {
        if (image.BitsAllocated != 8) throw DicomImage.Wrong(file, $"it holds JPEG of {image.BitsStored} bits; 8 are read here; unpack it first, e.g. gdcmconv --raw IN OUT");
        RgbImage decoded = ImageDecoder.DecodeEncoded(Fragment(frame), $"{file.Name}: frame {frame + 1}", false, (long)image.Rows * image.Columns);
        return (decoded.Width, decoded.Height) == (image.Columns, image.Rows)
            ? decoded
            : throw DicomImage.Wrong(file, $"frame {frame + 1} is {decoded.Width} x {decoded.Height}, and the file says {image.Columns} x {image.Rows}");
    }

    private CodedPicture Coded(int frame)
    {
        string name = $"{file.Name}: frame {frame + 1}";
        ReadOnlySpan<byte> packed = Fragment(frame).Span;
        long most = (long)image.Rows * image.Columns;
        CodedPicture decoded = file.Syntax.Packing switch
        {
            PixelPacking.LosslessJpeg => LosslessJpeg.Decode(packed, name, most),
            PixelPacking.JpegLs => JpegLs.Decode(packed, name, most),
            _ => Jpeg2000Picture.Decode(packed, name, most),
        };
        if ((decoded.Width, decoded.Height, decoded.Components) != (image.Columns, image.Rows, image.Samples))
            throw DicomImage.Wrong(file, $"frame {frame + 1} is {decoded.Width} x {decoded.Height} with {decoded.Components} samples, and the file says {image.Columns} x {image.Rows} with {image.Samples}");
        return decoded.Bits <= image.BitsAllocated ? decoded : throw DicomImage.Wrong(file, $"frame {frame + 1} has {decoded.Bits} bits, and the file says {image.BitsAllocated}");
    }

    private int Number(int bits)
    {
        int sign = image.IsSigned ? 1 << (image.BitsStored - 1) : 0;
        return ((bits & ((1 << image.BitsStored) - 1)) ^ sign) - sign;
    }

    private static IEnumerable<int> Reds(RgbImage image) => Enumerable.Range(0, image.Width * image.Height).Select(i => (int)image.Pixels[3 * i]);

    // A frame may be cut into several fragments; the table of offsets tells where each one begins.
    private ReadOnlyMemory<byte> Fragment(int frame)
    {
        _fragments ??= file.Data.Fragments();
        if (_fragments.Count < 2) throw DicomImage.Wrong(file, "its transfer syntax says that its pixels are packed, and no packed frame is there");
        int count = _fragments.Count - 1;
        if (count == image.Frames) return _fragments[frame + 1];
        if (image.Frames == 1) return Joined(1, count);
        ReadOnlySpan<byte> table = _fragments[0].Span;
        if (table.Length != 4 * image.Frames) throw DicomImage.Wrong(file, $"it has {count} fragments for {image.Frames} frames and no table that tells which belongs to which");
        uint begin = BinaryPrimitives.ReadUInt32LittleEndian(table[(4 * frame)..]);
        uint end = frame + 1 < image.Frames ? BinaryPrimitives.ReadUInt32LittleEndian(table[(4 * frame + 4)..]) : uint.MaxValue;
        int from = 0, to = 0;
        long at = 0;
        for (int i = 1; i <= count; i++)
        {
            if (at == begin) from = i;
            if (at < end) to = i;
            at += _fragments[i].Length + 8;
        }

        return from > 0 && to >= from ? Joined(from, to) : throw DicomImage.Wrong(file, $"its table of frames is wrong for frame {frame + 1}");
    }

    private ReadOnlyMemory<byte> Joined(int from, int to) => from == to ? _fragments![from] : _fragments!.Skip(from).Take(to - from + 1).SelectMany(fragment => fragment.ToArray()).ToArray();

    private RgbImage Palette(int[] numbers)
    {
        LookUpTable[] tables = [.. Enumerable.Range(0, 3).Select(colour => LookUpTable.Read(file, file.Data, DicomTag.RedDescriptor + (uint)colour, DicomTag.RedTable + (uint)colour, image.IsSigned))];
        var pixels = new byte[3 * numbers.Length];
        for (int i = 0; i < numbers.Length; i++)
            for (int colour = 0; colour < 3; colour++) pixels[3 * i + colour] = tables[colour].Byte(numbers[i]);
        return new RgbImage(image.Columns, image.Rows, pixels);
    }
}
