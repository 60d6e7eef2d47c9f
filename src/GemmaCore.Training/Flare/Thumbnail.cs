using GemmaCore.Inputs;
using SkiaSharp;

namespace GemmaCore.Training.Flare;

/// <summary>Small pictures for a page.</summary>
internal static class Thumbnail
{
    private const int Side = 136, Quality = 70;

    /// <summary>A picture as a data URL of a small JPEG; null where it cannot be read.</summary>
    public static string? DataUrl(string path)
    {
        try
        {
            RgbImage image = ImageDecoder.Decode(ImageSource.FromFile(path));
            double scale = Math.Min(1, (double)Side / Math.Max(image.Width, image.Height));
            RgbImage small = PillowResize.Resize(image, Math.Max(1, (int)(image.Width * scale)), Math.Max(1, (int)(image.Height * scale)), ResampleFilter.Bilinear);
            using var bitmap = new SKBitmap(new SKImageInfo(small.Width, small.Height, SKColorType.Rgba8888, SKAlphaType.Opaque));
            Span<byte> rgba = bitmap.GetPixelSpan();
            for (int row = 0; row < small.Height; row++)
            {
                for (int column = 0; column < small.Width; column++)
                {
                    ReadOnlySpan<byte> pixel = small.Pixels.AsSpan((row * small.Width + column) * 3, 3);
                    Span<byte> to = rgba.Slice(row * bitmap.RowBytes + column * 4, 4);
                    pixel.CopyTo(to);
                    to[3] = byte.MaxValue;
                }
            }

            using SKData jpeg = bitmap.Encode(SKEncodedImageFormat.Jpeg, Quality);
            return "data:image/jpeg;base64," + Convert.ToBase64String(jpeg.AsSpan());
        }
        catch (InputException)
        {
            return null;
        }
    }
}
