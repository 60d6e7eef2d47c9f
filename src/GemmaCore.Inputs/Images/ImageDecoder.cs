using GemmaCore.Inputs.Dicom;
using GemmaCore.Inputs.Volumes;
using SkiaSharp;

namespace GemmaCore.Inputs;

/// <summary>
/// PNG, JPEG, WebP, BMP and GIF (first frame) to RGB bytes, as Pillow's <c>convert("RGB")</c> gives them: grey is replicated, palettes
/// are looked up, alpha is dropped without blending, colour profiles are ignored, 16-bit channels keep their upper 8 bits. And pages of TIFF and frames of DICOM files, by modality or through a
/// <see cref="GreyWindow"/>.
/// </summary>
public static class ImageDecoder
{
    /// <summary>Pictures with more pixels are refused before they are decoded, unless the caller allows more.</summary>
    public const long DefaultMaxPixels = 64_000_000;

    private static readonly SKEncodedImageFormat[] Formats =
        [SKEncodedImageFormat.Png, SKEncodedImageFormat.Jpeg, SKEncodedImageFormat.Webp, SKEncodedImageFormat.Bmp, SKEncodedImageFormat.Gif];

    /// <summary>Decodes a picture from its file or its bytes.</summary>
    /// <param name="source">The encoded picture.</param>
    /// <param name="applyOrientation">Turn the picture as its EXIF orientation says; off for parity with the Python stack, which does not.</param>
    /// <param name="maxPixels">Refuse larger pictures; read from the header, so a bomb costs nothing.</param>
    /// <param name="window">How grey values become bytes where the source does not say; null for what the picture asks for.</param>
    /// <exception cref="InputException">Unreadable file, no picture, too large, or cut off; a window for a picture of 8 bits or colours.</exception>
    public static RgbImage Decode(ImageSource source, bool applyOrientation = false, long maxPixels = DefaultMaxPixels, GreyWindow? window = null)
    {
        string name = source.Path ?? "image";
        if (source.Region is not null || source.Magnification is not null) return LargePicture.Open(source, applyOrientation, maxPixels, window).Read(source.Region);
        window = source.Window ?? window;
        if (source.Slice > 0) return Volume.Open(name, maxPixels).Show(source.Slice, window);
        if (TiffFile.Of(source) is { } tiff) return TiffPicture.Show(tiff, source.Frame, maxPixels, window);
        ReadOnlyMemory<byte> file = FileOf(source);
        if (DicomFile.IsOne(file.Span)) return DicomFrames.Open(DicomFile.Read(file, name), maxPixels).Show(source.Frame, window);
        if (source.Frame != 1) throw new InputException($"{name}: frame {source.Frame} was asked for, and only DICOM and TIFF files have frames here");
        if (window is not null && DeepPng.IsOne(file.Span)) return DeepPng.Read(file, name, maxPixels).Show(window);
        if (window is not null) throw new InputException($"{name}: window '{window.Name}' was asked for, and the picture has 8 bits or colours; leave the window out");
        return DecodeEncoded(file, name, applyOrientation, maxPixels);
    }

    /// <summary>Whether a picture is a frame of a DICOM file, by its content.</summary>
    /// <exception cref="InputException">Unreadable file.</exception>
    public static bool IsDicom(ImageSource source) => DicomFile.IsOne(FileOf(source).Span);

    /// <summary>Whether a picture is a page of a TIFF file, by its content.</summary>
    /// <exception cref="InputException">Unreadable file.</exception>
    public static bool IsTiff(ImageSource source) => TiffFile.Of(source) is not null;

    /// <summary>Width and height as the header says, without decoding.</summary>
    /// <exception cref="InputException">Unreadable file, or no picture.</exception>
    public static (int Width, int Height) ReadSize(ImageSource source)
    {
        string name = source.Path ?? "image";
        if (TiffFile.Of(source) is { } tiff) return TiffPicture.ReadSize(tiff, source.Frame);
        ReadOnlyMemory<byte> file = FileOf(source);
        if (DicomFile.IsOne(file.Span))
        {
            DicomImage image = DicomImage.Read(DicomFile.Read(file, name));
            return (image.Columns, image.Rows);
        }

        using SKData data = SKData.CreateCopy(file.Span);
        using SKCodec codec = Open(data, name);
        return (codec.Info.Width, codec.Info.Height);
    }

    /// <summary>A PNG, JPEG, WebP, BMP or GIF picture.</summary>
    internal static RgbImage DecodeEncoded(ReadOnlyMemory<byte> file, string name, bool applyOrientation, long maxPixels)
    {
        using SKData data = SKData.CreateCopy(file.Span);
        using SKCodec codec = Open(data, name);
        int width = codec.Info.Width, height = codec.Info.Height;
        RequireSize(name, width, height, maxPixels);
        if (codec.EncodedFormat == SKEncodedImageFormat.Gif) return GifPicture.Read(file.Span, name, maxPixels);
        using var bitmap = new SKBitmap();
        if (!bitmap.TryAllocPixels(new SKImageInfo(width, height, SKColorType.Rgba8888, SKAlphaType.Unpremul)))
            throw new InputException($"{name}: no memory for {width} x {height} pixels");
        SKCodecResult result = codec.GetPixels(bitmap.Info, bitmap.GetPixels());
        if (result != SKCodecResult.Success)
            throw new InputException($"{name}: the picture is damaged or cut off ({result})");
        RgbImage image = DropAlpha(bitmap, width, height);
        if (!applyOrientation) return image;
        // The origins are numbered as the tag's values are.
        return Orient(image, codec.EncodedFormat == SKEncodedImageFormat.Png ? (SKEncodedOrigin)ExifOrientation.OfPng(file.Span) : codec.EncodedOrigin);
    }

    /// <summary>Refuses a picture that is larger than allowed, before room is made for it.</summary>
    internal static void RequireSize(string name, int width, int height, long maxPixels)
    {
        if ((long)width * height > maxPixels) throw new InputException($"{name}: {width} x {height} pixels are more than the {maxPixels} allowed; scale the picture down first");
    }

    internal static ReadOnlyMemory<byte> FileOf(ImageSource source) => source.Bytes is { } bytes
        ? bytes
        : JsonInput.ReadFile(source.Path ?? throw new InputException("an image has neither a path nor bytes"));

    private static SKCodec Open(SKData data, string name)
    {
        SKCodec? codec = data.IsEmpty ? null : SKCodec.Create(data);
        if (codec is not null && Formats.Contains(codec.EncodedFormat)) return codec;
        codec?.Dispose();
        if (NiftiHeader.IsOne(data.Span) || name.EndsWith(".nii.gz", StringComparison.OrdinalIgnoreCase))
            throw new InputException($"{name}: a NIfTI volume is not one picture; show its slices with --volume (in rows: a part of type volume)");
        throw new InputException($"{name}: not a PNG, JPEG, WebP, BMP, GIF, TIFF or DICOM picture ({data.Size} bytes)");
    }

    private static RgbImage DropAlpha(SKBitmap bitmap, int width, int height)
    {
        ReadOnlySpan<byte> rgba = bitmap.GetPixelSpan();
        var pixels = new byte[width * height * 3];
        for (int row = 0; row < height; row++)
        {
            ReadOnlySpan<byte> from = rgba.Slice(row * bitmap.RowBytes, width * 4);
            Span<byte> to = pixels.AsSpan(row * width * 3, width * 3);
            for (int column = 0; column < width; column++)
            {
                to[3 * column] = from[4 * column];
                to[3 * column + 1] = from[4 * column + 1];
                to[3 * column + 2] = from[4 * column + 2];
            }
        }
        return new RgbImage(width, height, pixels);
    }

    // The eight EXIF orientations: where the stored picture's first row and first column belong.
    private static RgbImage Orient(RgbImage image, SKEncodedOrigin origin)
    {
        if (origin is SKEncodedOrigin.TopLeft) return image;
        bool transposed = origin is SKEncodedOrigin.LeftTop or SKEncodedOrigin.RightTop or SKEncodedOrigin.RightBottom or SKEncodedOrigin.LeftBottom;
        bool mirrored = origin is SKEncodedOrigin.TopRight or SKEncodedOrigin.BottomRight or SKEncodedOrigin.RightTop or SKEncodedOrigin.RightBottom;
        bool flipped = origin is SKEncodedOrigin.BottomRight or SKEncodedOrigin.BottomLeft or SKEncodedOrigin.RightBottom or SKEncodedOrigin.LeftBottom;
        int width = transposed ? image.Height : image.Width, height = transposed ? image.Width : image.Height;
        var pixels = new byte[image.Pixels.Length];
        for (int row = 0; row < image.Height; row++)
        {
            for (int column = 0; column < image.Width; column++)
            {
                int x = transposed ? row : column, y = transposed ? column : row;
                if (mirrored) x = width - 1 - x;
                if (flipped) y = height - 1 - y;
                image.Pixels.AsSpan((row * image.Width + column) * 3, 3).CopyTo(pixels.AsSpan((y * width + x) * 3));
            }
        }
        return new RgbImage(width, height, pixels);
    }
}
