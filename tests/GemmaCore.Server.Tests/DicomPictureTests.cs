using System.Net;
using System.Text.Json;
using GemmaCore.Inputs;
using GemmaCore.Testing.Medical;
using SkiaSharp;

namespace GemmaCore.Server.Tests;

public sealed class DicomPictureTests(SharedServer shared) : IClassFixture<SharedServer>
{
    private static readonly byte[] Scan = DicomWriter.Grey(32, 32, Enumerable.Range(0, 2048), "CT").Text(0x0010_0010, "PN", "INVENTED^NAME")
        .Text(0x0028_0008, "IS", "2").Number(0x0028_1052, -1024).Number(0x0028_1053, 1).File();

    private static readonly byte[] OtherScan = DicomWriter.Grey(32, 32, Enumerable.Range(0, 2048).Select(value => 2047 - value), "CT")
        .Text(0x0028_0008, "IS", "2").Number(0x0028_1052, -1024).Number(0x0028_1053, 1).File();

    private RunningServer Server => shared.Server;

    [Theory]
    [InlineData("image_url", "", 1, null)]
    [InlineData("image_dicom", "", 1, null)]
    [InlineData("image_dicom", ""","frame":2,"window":"lung" """, 2, "lung")]
    public async Task A_dicom_file_is_a_picture(string part, string more, int frame, string? window)
    {
        ImageSource source = ImageSource.FromBytes(Scan) with { Frame = frame, Window = window is null ? null : GreyWindow.Parse(window) };
        byte[] same = Png(ImageDecoder.Decode(source));

        double[] answers = [await Logprob(Body("image_url", same, "", "image/png")), await Logprob(Body(part, Scan, more)), await Logprob(Body(part, OtherScan, more))];
        Assert.Equal(answers[0], answers[1]);
        Assert.NotEqual(answers[0], answers[2]);
    }

    [Theory]
    [InlineData("image_dicom", ""","frame":3""", "no frame 3")]
    [InlineData("image_dicom", ""","frame":0""", "from 1")]
    [InlineData("image_dicom", ""","window":"lungs" """, "expected ct, ct-serving")]
    [InlineData("image_dicom", ""","series":1""", "series")]
    public async Task What_makes_no_sense_is_refused_by_name(string part, string more, string says) => await AssertRefused(Body(part, Scan, more), says);

    [Fact]
    public async Task A_file_that_cannot_be_shown_says_why_and_nothing_of_the_patient()
    {
        DicomWriter writer = DicomWriter.Grey(2, 2, [1, 2, 3, 4]).Text(0x0010_0010, "PN", "INVENTED^NAME");
        writer.TransferSyntax = "1.2.840.10008.1.2.4.90";
        await AssertRefused(Body("image_dicom", writer.File(), ""), "JPEG 2000 Lossless");
        await AssertRefused(Body("image_dicom", Scan[..200], ""), "damaged or cut off");
        await AssertRefused(Body("image_dicom", Scan[..^100], ""), "should have 4096 bytes");
    }

    private async Task AssertRefused(string body, string says)
    {
        (HttpStatusCode status, JsonElement reply) = await Server.PostAsync("/v1/classify", body);
        string message = reply.GetProperty("error").GetProperty("message").GetString()!;
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains(says, message, StringComparison.Ordinal);
        Assert.DoesNotContain("INVENTED", message, StringComparison.Ordinal);
    }

    private async Task<double> Logprob(string body)
    {
        (HttpStatusCode status, JsonElement reply) = await Server.PostAsync("/v1/classify", body);
        Assert.Equal(HttpStatusCode.OK, status);
        return reply.GetProperty("data")[0].GetProperty("labels")[0].GetProperty("logprob").GetDouble();
    }

    private static byte[] Png(RgbImage image)
    {
        using var bitmap = new SKBitmap(image.Width, image.Height);
        for (int i = 0; i < image.Width * image.Height; i++)
            bitmap.SetPixel(i % image.Width, i / image.Width, new SKColor(image.Pixels[3 * i], image.Pixels[3 * i + 1], image.Pixels[3 * i + 2]));
        using SKData data = bitmap.Encode(SKEncodedImageFormat.Png, 100);
        return data.ToArray();
    }

    private static string Body(string part, byte[] file, string more, string type = "application/dicom") =>
        $$$"""
        {"messages":[{"role":"user","content":[{"type":"{{{part}}}","{{{part}}}":{"url":"data:{{{type}}};base64,{{{Convert.ToBase64String(file)}}}"{{{more}}}}},
        {"type":"text","text":"What?"}]}],"labels":["yes"]}
        """;
}
