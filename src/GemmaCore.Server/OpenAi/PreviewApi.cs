using System.Text.Json;
using GemmaCore.Inputs;
using Microsoft.AspNetCore.Http;
using SkiaSharp;

namespace GemmaCore.Server.OpenAi;

/// <summary>
/// <c>POST /preview</c>: a picture as the model is shown it, before it is scaled, for pages that cannot decode DICOM and TIFF. Takes what <c>image_dicom</c> takes and
/// answers with PNG, or, with <c>choices</c>, with JSON: the PNG, how many frames there are and which windows. Nothing else goes back of a file, and nothing of it is kept.
/// </summary>
internal sealed class PreviewApi(ServedModel served)
{
    public async Task ShowAsync(HttpContext context)
    {
        using JsonDocument document = await RequestBody.ReadAsync(context).ConfigureAwait(false);
        RequestField body = RequestField.Body(document.RootElement);
        body.AllowOnly(["url", "frame", "window", "choices"]);
        bool asksForChoices = body["choices"].FlagOr(false);
        if (new PictureLimits(served.Options, served.Images.Hosts).Take(body["url"].Required(), body["frame"].IntegerOr(1, 1, int.MaxValue), MessageReader.Window(body["window"])) is not ImagePart picture)
            throw body["url"].Wrong("a data URL");
        long maxPixels = served.Options.MaxImagePixels;
        byte[] reply = await served.EncodeAsync(_ => asksForChoices ? Choices(PictureView.Of(picture.Image, maxPixels)) : Png(ImageDecoder.Decode(picture.Image, maxPixels: maxPixels)), context.RequestAborted)
            .ConfigureAwait(false);
        context.Response.ContentType = asksForChoices ? "application/json" : "image/png";
        context.Response.Headers.CacheControl = "no-store"; // a picture of somebody
        context.Response.Headers.XContentTypeOptions = "nosniff";
        await context.Response.Body.WriteAsync(reply, context.RequestAborted).ConfigureAwait(false);
    }

    private static byte[] Choices(PictureView view) => Reply.Bytes(
        new PictureReport(
            $"data:image/png;base64,{Convert.ToBase64String(Png(view.Picture))}", view.Frames, view.Window?.Name,
            view.Range is { } range ? new RangeReport(range.Centre, range.Width) : null, view.IsHounsfield ? "HU" : null,
            [.. view.Windows.Select(choice => new WindowReport(choice.Window?.Name, choice.Label))]),
        WireJson.Default.PictureReport);

    private static byte[] Png(RgbImage image)
    {
        int channels = IsGrey(image.Pixels) ? 1 : 4;
        using var bitmap = new SKBitmap(new SKImageInfo(image.Width, image.Height, channels == 1 ? SKColorType.Gray8 : SKColorType.Rgba8888, SKAlphaType.Opaque));
        Span<byte> samples = bitmap.GetPixelSpan();
        for (int row = 0; row < image.Height; row++)
        {
            for (int column = 0; column < image.Width; column++)
            {
                Span<byte> to = samples.Slice(row * bitmap.RowBytes + channels * column, channels);
                ReadOnlySpan<byte> from = image.Pixels.AsSpan(3 * (row * image.Width + column), 3);
                to[^1] = byte.MaxValue;
                from[..Math.Min(3, channels)].CopyTo(to);
            }
        }

        using SKPixmap pixels = bitmap.PeekPixels();
        // Little packing: a preview is seen once, and time is what it costs.
        using SKData? data = pixels.Encode(new SKPngEncoderOptions(SKPngEncoderFilterFlags.Up, 1));
        return data?.ToArray() ?? throw new InputException($"no memory for a preview of {image.Width} x {image.Height} pixels");
    }

    // A third of the bytes to pack and to send: radiology is grey but for CT in three windows.
    private static bool IsGrey(ReadOnlySpan<byte> pixels)
    {
        for (int i = 0; i < pixels.Length; i += 3)
            if (pixels[i] != pixels[i + 1] || pixels[i] != pixels[i + 2]) return false;
        return true;
    }
}
