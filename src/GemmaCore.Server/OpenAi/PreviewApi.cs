using System.Text.Json;
using GemmaCore.Inputs;
using Microsoft.AspNetCore.Http;
using SkiaSharp;

namespace GemmaCore.Server.OpenAi;

/// <summary>
/// <c>POST /preview</c>: a picture as the model is shown it, before it is scaled, for pages that cannot decode DICOM and TIFF. Takes what <c>image_dicom</c> takes and
/// answers with PNG; pixels and their number are all that goes back of a file.
/// </summary>
internal sealed class PreviewApi(ServedModel served)
{
    public async Task ShowAsync(HttpContext context)
    {
        using JsonDocument document = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        RequestField body = RequestField.Body(document.RootElement);
        body.AllowOnly(["url", "frame", "window"]);
        if (new PictureLimits(served.Options, served.Images.Hosts).Take(body["url"].Required(), body["frame"].IntegerOr(1, 1, int.MaxValue), MessageReader.Window(body["window"])) is not ImagePart picture)
            throw body["url"].Wrong("a data URL");
        byte[] png = await served.EncodeAsync(_ => Png(ImageDecoder.Decode(picture.Image, maxPixels: served.Options.MaxImagePixels)), context.RequestAborted).ConfigureAwait(false);
        context.Response.ContentType = "image/png";
        context.Response.Headers.CacheControl = "no-store"; // a picture of somebody
        context.Response.Headers.XContentTypeOptions = "nosniff";
        await context.Response.Body.WriteAsync(png, context.RequestAborted).ConfigureAwait(false);
    }

    private static byte[] Png(RgbImage image)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(image.Width, image.Height, SKColorType.Rgba8888, SKAlphaType.Opaque));
        Span<byte> rgba = bitmap.GetPixelSpan();
        for (int row = 0; row < image.Height; row++)
        {
            for (int column = 0; column < image.Width; column++)
            {
                Span<byte> to = rgba.Slice(row * bitmap.RowBytes + 4 * column, 4);
                image.Pixels.AsSpan(3 * (row * image.Width + column), 3).CopyTo(to);
                to[3] = byte.MaxValue;
            }
        }

        using SKPixmap pixels = bitmap.PeekPixels();
        // Little packing: a preview is seen once, and time is what it costs.
        using SKData? data = pixels.Encode(new SKPngEncoderOptions(SKPngEncoderFilterFlags.Up, 1));
        return data?.ToArray() ?? throw new InputException($"no memory for a preview of {image.Width} x {image.Height} pixels");
    }
}
