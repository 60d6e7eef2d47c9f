using GemmaCore.Inputs;

namespace GemmaCore.Server.OpenAi;

/// <summary>
/// Pictures of one request, from data URLs. Their number, their pixels and their proportions are checked from the headers, before any is decoded. Nothing is ever
/// fetched: neither from the network nor from the disk.
/// </summary>
internal sealed class PictureLimits(ServerOptions options)
{
    // What all pictures of a request may have, in the largest single one's.
    private const int PicturesWorth = 4;

    private static readonly string[] Types = ["png", "jpeg", "jpg", "webp", "bmp", "gif"];

    private static readonly string[] Schemes = ["data:image/", "data:application/"];

    private int _count;
    private long _pixels;

    /// <summary>A picture of the request.</summary>
    /// <param name="url">A data URL.</param>
    /// <param name="frame">Which frame of a DICOM file, from 1.</param>
    /// <param name="window">How its grey values become bytes; null for what its kind asks for.</param>
    /// <exception cref="RequestException">No data URL, no picture, or too much of it.</exception>
    public ImageSource Take(RequestField url, int frame = 1, GreyWindow? window = null)
    {
        if (++_count > options.MaxImages) throw RequestException.Invalid($"At most {options.MaxImages} images are allowed in a request", url.Path, "too_many_images");
        ImageSource source = ImageSource.FromBytes(Decode(url)) with { Frame = frame, Window = window };
        try
        {
            if (ImageDecoder.IsTiff(source)) throw new InputException("TIFF is not taken"); // a library that was not written for strangers' files
            (int width, int height) = ImageDecoder.ReadSize(source);
            long pixels = (long)width * height;
            _pixels += pixels;
            if (pixels > options.MaxImagePixels || _pixels > PicturesWorth * options.MaxImagePixels)
            {
                throw RequestException.Invalid(
                    $"The images are too large: {width} x {height} pixels, {options.MaxImagePixels} are allowed for one and {PicturesWorth} times as many for all",
                    url.Path, "image_too_large");
            }

            if (Math.Max(width, height) > (long)options.MaxImageAspect * Math.Min(width, height))
                throw RequestException.Invalid($"The image is {width} x {height}: one side may be at most {options.MaxImageAspect} times the other", url.Path, "image_too_narrow");
            return source;
        }
        catch (InputException error)
        {
            // What is wrong with a DICOM file its sender can mend, and the complaint holds nothing of the patient.
            string reason = ImageDecoder.IsDicom(source) ? error.Message : "expected PNG, JPEG, WebP, BMP, GIF or DICOM";
            throw RequestException.Invalid($"The image cannot be read; {reason}", url.Path, "invalid_image");
        }
    }

    private static bool IsKnown(string type) =>
        type.Equals("data:application/dicom", StringComparison.OrdinalIgnoreCase)
        || (type.StartsWith(Schemes[0], StringComparison.OrdinalIgnoreCase) && Types.Contains(type[Schemes[0].Length..], StringComparer.OrdinalIgnoreCase));

    private static byte[] Decode(RequestField field)
    {
        string url = field.Text();
        const string encoding = ";base64,";
        string? scheme = Array.Find(Schemes, known => url.StartsWith(known, StringComparison.OrdinalIgnoreCase));
        if (scheme is null)
            throw RequestException.Invalid("Only data URLs (data:image/png;base64,…) are taken; this server does not fetch images", field.Path, "unsupported_image_url");
        int comma = url.IndexOf(',', StringComparison.Ordinal);
        if (comma < scheme.Length + encoding.Length - 1 || comma > 64 || !url.AsSpan(0, comma + 1).EndsWith(encoding, StringComparison.OrdinalIgnoreCase)
            || !IsKnown(url[..(comma + 1 - encoding.Length)]))
            throw RequestException.Invalid($"The data URL must be data:image/TYPE;base64,… with TYPE one of {string.Join(", ", Types)}, or data:application/dicom;base64,…", field.Path, "invalid_image_url");
        byte[] bytes = new byte[(url.Length - comma - 1) / 4 * 3 + 3];
        if (!Convert.TryFromBase64Chars(url.AsSpan(comma + 1), bytes, out int written)) throw RequestException.Invalid("The data URL is not valid base64", field.Path, "invalid_base64");
        return bytes[..written];
    }
}
