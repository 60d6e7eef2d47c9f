using System.Net;
using System.Text.Json;
using GemmaCore.Inputs;
using GemmaCore.Testing.Medical;

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
        writer.TransferSyntax = "1.2.840.10008.1.2.4.201";
        await AssertRefused(Body("image_dicom", writer.File(), ""), "High-Throughput JPEG 2000 Lossless");
        await AssertRefused(Body("image_dicom", Scan[..200], ""), "damaged or cut off");
        await AssertRefused(Body("image_dicom", Scan[..^100], ""), "should have 4096 bytes");
    }

    [Theory]
    [InlineData("ls_grey8.dcm")]
    [InlineData("jpeg70_grey8.dcm")]
    [InlineData("j2k_grey8.j2k")]
    public async Task A_packed_picture_is_answered_like_the_plain_one_and_unpacks_no_more_than_it_says(string file)
    {
        CodecPicture picture = CodecPicture.Find("grey8");
        byte[] golden = await File.ReadAllBytesAsync(Testing.Goldens.Path("codecs/" + file), TestContext.Current.CancellationToken), packed = golden;
        DicomWriter writer = picture.Dicom();
        if (file.EndsWith(".j2k", StringComparison.Ordinal))
        {
            writer.TransferSyntax = "1.2.840.10008.1.2.4.90";
            packed = writer.Fragments([], golden).File();
        }

        Assert.Equal(await Logprob(Body("image_dicom", picture.Dicom().File(), "")), await Logprob(Body("image_dicom", packed, "")));
        // The limits are held to the file's own rows and columns, so what is packed must not be larger.
        packed[packed.AsSpan().IndexOf((byte[])[0x28, 0, 0x10, 0, .. "US"u8]) + 8] = 9;
        await AssertRefused(Body("image_dicom", packed, ""), "37 x 29 pixels are more than the 333 allowed");
    }

    [Fact]
    public async Task A_tiff_file_is_a_picture_page_by_page()
    {
        RgbImage first = Slides.Picture(40, 32, new PictureRegion(0, 0, 20, 20)), second = Slides.Picture(40, 32);
        byte[] tiff = Slides.Tiff(16, BitMiracle.LibTiff.Classic.Compression.LZW, first, second);
        double[] answers =
        [
            await Logprob(Body("image_url", Png(first), "", "image/png")), await Logprob(Body("image_url", tiff, "", "image/tiff")),
            await Logprob(Body("image_url", Png(second), "", "image/png")), await Logprob(Body("image_dicom", tiff, ""","frame":2""", "image/tiff")),
        ];
        Assert.Equal((answers[0], answers[2]), (answers[1], answers[3]));
        Assert.NotEqual(answers[0], answers[2]);
        await AssertRefused(Body("image_url", tiff[..^60], "", "image/tiff"), "the TIFF file is damaged or cut off");
        await AssertRefused(Body("image_dicom", tiff, ""","frame":3""", "image/tiff"), "no page 3");
    }

    [Theory]
    [InlineData("application/dicom", "", 1, null)]
    [InlineData("image/dicom", ""","frame":2,"window":"lung" """, 2, "lung")]
    public async Task A_preview_is_what_the_model_is_shown_and_nothing_else_of_the_file(string type, string more, int frame, string? window)
    {
        using HttpResponseMessage response = await Preview(Server, type, Scan, more);
        byte[] png = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.OK, "image/png"), (response.StatusCode, response.Content.Headers.ContentType!.MediaType));
        Assert.True(response.Headers.CacheControl!.NoStore);
        ImageSource source = ImageSource.FromBytes(Scan) with { Frame = frame, Window = window is null ? null : GreyWindow.Parse(window) };
        Assert.Equal(ImageDecoder.Decode(source).Pixels, ImageDecoder.Decode(ImageSource.FromBytes(png)).Pixels);
        Assert.DoesNotContain("INVENTED", response + System.Text.Encoding.Latin1.GetString(png), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_preview_with_choices_says_what_can_be_chosen_and_nothing_else_of_the_file()
    {
        using HttpResponseMessage response = await Preview(Server, "application/dicom", Scan, ""","frame":2,"window":"-600/1500","choices":true""");
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.OK, "application/json"), (response.StatusCode, response.Content.Headers.ContentType!.MediaType));
        Assert.True(response.Headers.CacheControl!.NoStore);
        Assert.DoesNotContain("INVENTED", text, StringComparison.Ordinal);
        using JsonDocument reply = JsonDocument.Parse(text);
        JsonElement root = reply.RootElement;
        Assert.Equal(["picture", "frames", "window", "range", "unit", "windows"], root.EnumerateObject().Select(member => member.Name));
        byte[] png = Convert.FromBase64String(root.GetProperty("picture").GetString()!["data:image/png;base64,".Length..]);
        ImageSource source = ImageSource.FromBytes(Scan) with { Frame = 2, Window = GreyWindow.Parse("-600/1500") };
        Assert.Equal(ImageDecoder.Decode(source).Pixels, ImageDecoder.Decode(ImageSource.FromBytes(png)).Pixels);
        Assert.Equal((2, "-600/1500", "HU", -600, 1500), (root.GetProperty("frames").GetInt32(), root.GetProperty("window").GetString(), root.GetProperty("unit").GetString(),
            root.GetProperty("range").GetProperty("centre").GetInt32(), root.GetProperty("range").GetProperty("width").GetInt32()));
        Assert.Equal(["ct", "ct-serving", "lung", "mediastinum", "abdomen", "liver", "bone", "brain", "subdural", "full"], root.GetProperty("windows").EnumerateArray().Select(choice => choice.GetProperty("window").GetString()));

        // Bytes as they are have no name: null says so.
        using HttpResponseMessage plain = await Preview(Server, "image/png", Png(Slides.Picture(4, 4)), ""","choices":true""");
        Assert.Equal(""","frames":1,"window":null,"range":null,"windows":[]}""", (await plain.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))[^52..]);
    }

    [Theory]
    [InlineData(""","frame":3""", "no frame 3; the file has 2")]
    [InlineData(""","frame":0""", "from 1")]
    [InlineData(""","frame":1.5""", "from 1")]
    [InlineData(""","window":"40/0" """, "CENTRE/WIDTH")]
    [InlineData(""","window":"1e999/40" """, "CENTRE/WIDTH")]
    [InlineData(""","window":"file:2" """, "has 0 windows of its own")]
    [InlineData(""","choices":"yes" """, "true or false")]
    public async Task A_preview_that_makes_no_sense_is_refused_in_one_line(string more, string says)
    {
        foreach (string choices in more.Contains("choices", StringComparison.Ordinal) ? [""] : new[] { "", ""","choices":true""" })
        {
            using HttpResponseMessage response = await Preview(Server, "application/dicom", Scan, more + choices);
            string message = JsonDocument.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement.GetProperty("error").GetProperty("message").GetString()!;
            Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
            Assert.Contains(says, message, StringComparison.Ordinal);
            Assert.DoesNotContain('\n', message);
        }
    }

    [Fact]
    public async Task A_preview_has_the_limits_and_the_keys_of_every_route()
    {
        await using RunningServer server = await RunningServer.StartAsync(new ServerOptions { ApiKeys = ["secret"], MaxImagePixels = 1000 });
        using (HttpResponseMessage refused = await Preview(server, "application/dicom", Scan, "")) Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        server.Client.DefaultRequestHeaders.Authorization = new("Bearer", "secret");
        foreach ((byte[] file, string more, string says) in new[]
            { (Scan, "", "too large"), (Scan[..300], "", "damaged or cut off"), (Scan, ""","series":1""", "series"), ([1, 2, 3], "", "expected PNG, JPEG, WebP, BMP, GIF, TIFF or DICOM"),
              (Scan, ""","choices":true""", "too large"), ([1, 2, 3], ""","choices":true""", "expected PNG, JPEG, WebP, BMP, GIF, TIFF or DICOM") })
        {
            using HttpResponseMessage response = await Preview(server, "application/dicom", file, more);
            string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
            Assert.Contains(says, text, StringComparison.Ordinal);
            Assert.DoesNotContain("INVENTED", text, StringComparison.Ordinal);
        }
    }

    private static Task<HttpResponseMessage> Preview(RunningServer server, string type, byte[] file, string more) => server.Client.PostAsync(
        new Uri("/preview", UriKind.Relative),
        new StringContent($$"""{"url":"data:{{type}};base64,{{Convert.ToBase64String(file)}}"{{more}}}""", System.Text.Encoding.UTF8, "application/json"),
        TestContext.Current.CancellationToken);

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

    private static byte[] Png(RgbImage image) => Slides.Png(image);

    private static string Body(string part, byte[] file, string more, string type = "application/dicom") =>
        $$$"""
        {"messages":[{"role":"user","content":[{"type":"{{{part}}}","{{{part}}}":{"url":"data:{{{type}}};base64,{{{Convert.ToBase64String(file)}}}"{{{more}}}}},
        {"type":"text","text":"What?"}]}],"labels":["yes"]}
        """;
}
