using System.Security.Cryptography;
using System.Text.Json;
using GemmaCore.Testing;

namespace GemmaCore.Inputs.Tests;

public sealed class ImageGoldenTests
{
    private const string Topic = "image preprocessing";
    private const string PixelFile = "images/preprocess.safetensors";
    private static readonly Dictionary<string, GoldenTensor> Arrays = GoldenTensors.Load(Goldens.Path(PixelFile));

    public static TheoryData<string> Files()
    {
        var files = new TheoryData<string>();
        foreach (JsonElement row in Rows()) files.Add(row.GetProperty("file").GetString()!);
        return files;
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Decoding_gives_Pillows_pixels(string file)
    {
        GoldenTensor golden = Array(file, "decoded");
        RgbImage image = ImageDecoder.Decode(ImageSource.FromFile(Goldens.Path(file)));

        Assert.Equal((golden.Shape[0], golden.Shape[1]), (image.Height, image.Width));
        // The manifest allows JPEG decoders two levels; every other format is exact.
        int allowed = file.EndsWith(".jpg", StringComparison.Ordinal) ? 2 : 0;
        int worst = golden.Bytes.Zip(image.Pixels, (theirs, ours) => Math.Abs(theirs - ours)).Max();
        if (allowed == 0) Parity.ReportExact(Topic, PixelFile, "decoded files, lossless formats", worst == 0 ? 1 : 0, 1);
        else Parity.Report(Topic, PixelFile, "decoded JPEG, in levels", worst, allowed);
        Assert.InRange(worst, 0, allowed);
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Resizing_gives_Pillows_bytes(string file)
    {
        JsonElement row = Rows().Single(candidate => candidate.GetProperty("file").GetString() == file);
        RgbImage image = Decoded(file);

        byte[] resized = PillowResize.Resize(image, 112, 112, ResampleFilter.Bilinear).Pixels, golden = Array(file, "resized112").Bytes;
        Parity.ReportExact(Topic, PixelFile, "resized to 112, bilinear", resized.AsSpan().SequenceEqual(golden) ? 1 : 0, 1);
        Assert.Equal(golden, resized);
        CheckSha256("resized to 896, bilinear", row.GetProperty("sha256_resized896_hwc"), PillowResize.Resize(image, 896, 896, ResampleFilter.Bilinear));
        CheckSha256("resized to 224, bicubic", row.GetProperty("sha256_bicubic224_hwc"), PillowResize.Resize(image, 224, 224, ResampleFilter.Bicubic));
    }

    [Theory]
    [InlineData("images/exact_112x112.png")]
    [InlineData("images/rgb_37x53.png")]
    public void Preprocessing_gives_the_golden_pixel_values_bit_for_bit(string file)
    {
        ImagePixels pixels = ImagePreprocessor.Load(Goldens.DemoPath("model")).Process(Decoded(file));

        Assert.Equal((112, 112), (pixels.Height, pixels.Width));
        float[] golden = Array(file, "pixel_values112").Floats;
        Parity.ReportExact(Topic, PixelFile, "pixel values, bit for bit", pixels.Values.AsSpan().SequenceEqual(golden) ? 1 : 0, 1);
        Assert.Equal(golden, pixels.Values);
    }

    [Fact]
    public void Pan_and_scan_cuts_as_often_as_the_golden_processor()
    {
        using var golden = JsonDocument.Parse(File.ReadAllBytes(Goldens.Path("images/pan_and_scan.json")));
        int equal = 0, cases = 0;
        foreach (JsonElement row in golden.RootElement.EnumerateArray())
        {
            int width = row.GetProperty("width").GetInt32(), height = row.GetProperty("height").GetInt32();
            IReadOnlyList<PictureRegion> crops = new PanAndScan().Crops(width, height);

            // The golden sizes were taken by handing a rows-columns-channels array to the slicing for channels-rows-columns: its crop
            // rows [top, top + height) cut the columns, its crop columns cut the three channels, and the rows stay whole. What they say of
            // our boxes is therefore this much, and it must hold exactly.
            int step = crops.Count > 0 ? crops[0].Height : 0;
            IEnumerable<(int, int)> asRecorded = crops.Select(crop => (Math.Clamp(width - crop.Top, 0, step), height));
            bool same = row.GetProperty("num_crops").GetInt32() == crops.Count && row.GetProperty("images").GetInt32() == crops.Count + 1
                && row.GetProperty("crop_sizes_wh").EnumerateArray().Select(size => (size[0].GetInt32(), size[1].GetInt32())).SequenceEqual(asRecorded);
            equal += same ? 1 : 0;
            cases++;
        }

        Assert.Equal(0, Parity.ReportExact(Topic, "images/pan_and_scan.json", "number and size of crops", equal, cases));
    }

    [Theory]
    [InlineData(511, 400, "0,0,256,400 256,0,255,400")]
    [InlineData(300, 900, "0,0,300,300 0,300,300,300 0,600,300,300")]
    [InlineData(257, 1030, "0,0,257,258 0,258,257,258 0,516,257,258 0,774,257,256")]
    [InlineData(1000, 834, "")]
    [InlineData(480, 380, "")]
    public void Pan_and_scan_covers_the_picture_in_reading_order(int width, int height, string boxes) =>
        Assert.Equal(boxes, string.Join(' ', new PanAndScan().Crops(width, height).Select(box => $"{box.Left},{box.Top},{box.Width},{box.Height}")));

    private static JsonElement[] Rows() =>
        [.. JsonDocument.Parse(File.ReadAllBytes(Goldens.Path("images/preprocess.json"))).RootElement.EnumerateArray()];

    private static GoldenTensor Array(string file, string what) => Arrays[$"{Path.GetFileName(file)}.{what}"];

    private static RgbImage Decoded(string file)
    {
        GoldenTensor golden = Array(file, "decoded");
        return new RgbImage((int)golden.Shape[1], (int)golden.Shape[0], golden.Bytes);
    }

    private static void CheckSha256(string what, JsonElement golden, RgbImage image)
    {
        Parity.ReportExact(Topic, "images/preprocess.json", what, Sha256(image) == golden.GetString() ? 1 : 0, 1);
        Assert.Equal(golden.GetString(), Sha256(image));
    }

    private static string Sha256(RgbImage image) => Convert.ToHexStringLower(SHA256.HashData(image.Pixels));
}
