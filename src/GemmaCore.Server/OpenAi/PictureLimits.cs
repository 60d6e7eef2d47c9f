using GemmaCore.Inputs;
using GemmaCore.Server.RemoteImages;

namespace GemmaCore.Server.OpenAi;

/// <summary>
/// Pictures of one request, from data URLs. Their number, their pixels and their proportions are checked from the headers, before any is decoded. Nothing is read from
/// the disk, and from the network only what the operator has allowed; that is for <see cref="ImageFetcher"/> to fetch.
/// </summary>
/// <param name="options">How much of it.</param>
/// <param name="hosts">Where pictures may be fetched from.</param>
internal sealed class PictureLimits(ServerOptions options, ImageHosts hosts)
{
    // What all pictures of a request may have, in the largest single one's.
    private const int PicturesWorth = 4;

    private static readonly string[] Types = ["png", "jpeg", "jpg", "webp", "bmp", "gif", "tiff", "dicom"];

    private const string Scheme = "data:", Image = "image/", Dicom = "application/dicom";

    private int _count;
    private long _pixels;

    /// <summary>A picture of the request, or what will become one when it has been fetched.</summary>
    /// <param name="url">A data URL, or the address of a picture.</param>
    /// <param name="frame">Which frame of a DICOM file, from 1.</param>
    /// <param name="window">How its grey values become bytes; null for what its kind asks for.</param>
    /// <exception cref="RequestException">Neither a data URL nor an allowed address, no picture, or too much of it.</exception>
    public ContentPart Take(RequestField url, int frame = 1, GreyWindow? window = null)
    {
        if (++_count > options.MaxImages) throw RequestException.Invalid($"At most {options.MaxImages} images are allowed in a request", url.Path, "too_many_images");
        string text = url.Text();
        if (text.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)) return new ImagePart(Checked(ImageSource.FromBytes(Decode(text, url)) with { Frame = frame, Window = window }, url));
        if (!hosts.Any)
            throw RequestException.Invalid("Only data URLs (data:image/png;base64,…) are taken; this server does not fetch images", url.Path, "unsupported_image_url");
        return new RemotePicture(hosts.Read(url), url, this, frame, window);
    }

    /// <summary>The same picture, if its header says that it is one and fits among the others of the request.</summary>
    /// <exception cref="RequestException">It does not.</exception>
    public ImageSource Checked(ImageSource source, RequestField url)
    {
        try
        {
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
            // What is wrong with a DICOM or TIFF file its sender can mend, and the complaint holds nothing of the patient.
            string reason = ImageDecoder.IsDicom(source) || ImageDecoder.IsTiff(source) ? error.Message : "expected PNG, JPEG, WebP, BMP, GIF, TIFF or DICOM";
            throw RequestException.Invalid($"The image cannot be read; {reason}", url.Path, "invalid_image");
        }
    }

    /// <summary>Whether a media type is that of a picture which is taken.</summary>
    public static bool IsKnown(string? type) =>
        type is not null
        && (type.Equals(Dicom, StringComparison.OrdinalIgnoreCase) || (type.StartsWith(Image, StringComparison.OrdinalIgnoreCase) && Types.Contains(type[Image.Length..], StringComparer.OrdinalIgnoreCase)));

    private static byte[] Decode(string url, RequestField field)
    {
        const string encoding = ";base64,";
        int comma = url.IndexOf(',', StringComparison.Ordinal), end = comma + 1 - encoding.Length;
        if (comma > 64 || end < Scheme.Length || !url.AsSpan(end, encoding.Length).Equals(encoding, StringComparison.OrdinalIgnoreCase) || !IsKnown(url[Scheme.Length..end]))
            throw RequestException.Invalid($"The data URL must be data:image/TYPE;base64,… with TYPE one of {string.Join(", ", Types)}, or data:{Dicom};base64,…", field.Path, "invalid_image_url");
        byte[] bytes = new byte[(url.Length - comma - 1) / 4 * 3 + 3];
        if (!Convert.TryFromBase64Chars(url.AsSpan(comma + 1), bytes, out int written)) throw RequestException.Invalid("The data URL is not valid base64", field.Path, "invalid_base64");
        return bytes[..written];
    }
}
