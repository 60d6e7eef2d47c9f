using System.Globalization;
using System.Security.Cryptography;
using BitMiracle.LibTiff.Classic;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Inputs.Tests.Medical;

/// <summary>Slides at a magnification, held to what libvips and OpenSlide show of them (<c>tools/slide_goldens.sh</c>).</summary>
public sealed class SlideTests
{
    private static readonly ImageSource Pyramid = ImageSource.FromFile(Testing.Goldens.Path("slides/pyramid.tif")), Aperio = ImageSource.FromFile(Testing.Goldens.Path("slides/aperio.svs"));

    public static TheoryData<string> Lines => [.. File.ReadAllLines(Testing.Goldens.Path("slides/expected.txt"))];

    [Theory]
    [MemberData(nameof(Lines))]
    public void A_part_at_a_magnification_is_what_other_readers_show(string line)
    {
        string[] words = line.Split(' ');
        RgbImage shown = ImageDecoder.Decode(ImageSource.FromFile(Testing.Goldens.Path("slides/" + words[0])) with { Magnification = TileCut.ParseMagnification(words[1]), Region = PictureRegion.Parse(words[2]) });
        Assert.Equal(words[3], $"{shown.Width}x{shown.Height}");
        Assert.Equal(words[4], Convert.ToHexStringLower(SHA256.HashData(shown.Pixels)));
    }

    [Fact]
    public void Between_two_levels_the_larger_one_is_scaled_and_labels_and_thumbnails_are_no_levels()
    {
        // Of 20x and 5x; the thumbnail would be 4x.
        RgbImage scan = ImageDecoder.Decode(Aperio), quarter = ImageDecoder.Decode(Aperio with { Frame = 3 });
        Assert.Equal((96, 64), (quarter.Width, quarter.Height));
        Assert.Equal(PillowResize.Resize(scan, 192, 128, ResampleFilter.Bilinear).Pixels, At(Aperio, 10).Pixels);
        Assert.Equal(PillowResize.Resize(quarter, 77, 51, ResampleFilter.Bilinear).Pixels, At(Aperio, 4).Pixels);
        Assert.Equal(PillowResize.Resize(scan.Crop(40, 60, 99, 50), 50, 25, ResampleFilter.Bilinear).Pixels, ImageDecoder.Decode(Aperio with { Magnification = 10, Region = new(40, 60, 99, 50) }).Pixels);
        // Only the page that is shown counts.
        Assert.Equal(quarter.Pixels, ImageDecoder.Decode(Aperio with { Magnification = 5 }, maxPixels: 96 * 64).Pixels);
        DicomTests.AssertSays("384 x 256 pixels of page 1 are more than the 6144 that are decoded at once", () => ImageDecoder.Decode(Aperio with { Magnification = 10 }, maxPixels: 96 * 64));
    }

    [Fact]
    public void Tiles_at_a_magnification_are_that_large_there_and_lie_in_pixels_of_the_scan()
    {
        PictureCut cut = PictureCut.Of(new TileCut { Size = 40, Magnification = 10, Tissue = TissueRule.None });
        IReadOnlyList<ContentPart> parts = cut.Parts(Pyramid);
        Assert.Equal(["TILE 1 (x 0, y 0)", "TILE 2 (x 160, y 0)", "TILE 3 (x 224, y 0)", "TILE 4 (x 0, y 96)", "TILE 5 (x 160, y 96)", "TILE 6 (x 224, y 96)"], parts.OfType<TextPart>().Select(part => part.Text));
        ImageSource[] tiles = [.. parts.OfType<ImagePart>().Select(part => part.Image)];
        Assert.Equal(new PictureRegion(160, 96, 160, 160), tiles[4].Region);
        Assert.Equal(ImageDecoder.Decode(Pyramid with { Frame = 3 }).Crop(40, 24, 40, 40).Pixels, ImageDecoder.Decode(tiles[4]).Pixels);
        Assert.Equal(6, tiles.Select(tile => tile.Choice).Distinct().Count());
        Assert.DoesNotContain((Pyramid with { Region = tiles[0].Region }).Choice, tiles.Select(tile => tile.Choice));

        Assert.Equal([new(100, 50, 80, 80), new(120, 50, 80, 80)], (PictureCut.Of(new TileCut { Size = 40, Magnification = 20, Tissue = TissueRule.None })).Regions(Pyramid with { Region = new(100, 50, 100, 80) }));
        Assert.Equal([0, 100, 200, 256], PictureCut.Of(TileCut.Parse(new Dictionary<string, string> { ["size"] = "32", ["stride"] = "25", ["magnification"] = "10x", ["tissue"] = "none" })).Regions(Pyramid)
            .Where(place => place.Top == 0).Select(place => place.Left));
    }

    [Theory]
    [InlineData("0")]
    [InlineData("-10")]
    [InlineData("401")]
    [InlineData("NaN")]
    [InlineData("1e1")]
    [InlineData("10xx")]
    [InlineData("")]
    public void What_is_no_magnification_is_one_line(string text)
    {
        Assert.Contains("magnification: expected a number above 0 up to 400", Assert.Throws<InputException>(() => TileCut.ParseMagnification(text)).Message, StringComparison.Ordinal);
        Assert.Contains("magnification: expected", Assert.Throws<InputException>(() => TileCut.Parse(new Dictionary<string, string> { ["magnification"] = text })).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("1,2,3")]
    [InlineData("1,2,3,4,5")]
    [InlineData("-1,2,3,4")]
    [InlineData("1,2,0,4")]
    [InlineData("1.5,2,3,4")]
    [InlineData("1,2,3,99999999999")]
    [InlineData("")]
    public void What_is_no_region_is_one_line(string text) =>
        Assert.Contains("region: expected x,y,width,height", Assert.Throws<InputException>(() => PictureRegion.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_picture_without_a_magnification_or_with_a_lower_one_says_so()
    {
        DicomTests.AssertSays("was scanned at 20x, and 40x was asked for", () => At(Aperio, 40));
        DicomTests.AssertSays("does not lie within the picture of 384 x 256", () => ImageDecoder.Decode(Pyramid with { Magnification = 10, Region = new(350, 0, 40, 40) }));
        DicomTests.AssertSays("does not lie within the picture of 384 x 256", () => PictureCut.Of(new TileCut()).Regions(Pyramid with { Region = new(350, 0, 40, 40) }));
        RgbImage picture = Slides.Picture(40, 32);
        foreach (byte[] file in (byte[][])[Slides.Tiff(16, Compression.LZW, picture), Slides.Described(picture, "Aperio|AppMag = none|", 300, ResUnit.INCH), Slides.Described(picture, "AppMag = 0", 40_000, ResUnit.NONE)])
            DicomTests.AssertSays("does not say at which magnification it was scanned", () => At(ImageSource.FromBytes(file), 10));
        foreach (byte[] file in (byte[][])[Slides.Png(picture), DeepPictures.Tiff(2, 1, 16, 1, [0, 0, 0, 255])]) DicomTests.AssertSays("only slides have one", () => At(ImageSource.FromBytes(file), 10));
        DicomTests.AssertSays("only slides have one", () => ImageDecoder.Decode(Pyramid with { Magnification = 10, Window = GreyWindow.Full }));
    }

    [Theory]
    [InlineData("Aperio Image Library|AppMag = 40|MPP = 0.25", 0f, ResUnit.NONE, 40)]
    [InlineData("x|AppMag=20", 40_000f, ResUnit.CENTIMETER, 20)]
    [InlineData("a slide", 39_604f, ResUnit.CENTIMETER, 40)]
    [InlineData("", 50_800f, ResUnit.INCH, 20)]
    public void The_description_says_how_large_it_was_or_else_the_resolution(string description, float resolution, ResUnit unit, double magnification)
    {
        RgbImage picture = Slides.Picture(40, 32);
        ImageSource slide = ImageSource.FromBytes(Slides.Described(picture, description, resolution, unit));
        Assert.Equal(picture.Pixels, At(slide, magnification).Pixels);
        Assert.Equal((20, 16), (At(slide, magnification / 2).Width, At(slide, magnification / 2).Height));
        DicomTests.AssertSays(string.Create(CultureInfo.InvariantCulture, $"and {magnification * 1.1:0.##}x was asked for"), () => At(slide, magnification * 1.1));
    }

    [Theory]
    [InlineData(5_000_000_000, true)]
    [InlineData(3_000_000_000, false)] // behind what a signed number of 32 bits can say
    public void A_file_larger_than_memory_takes_as_much_of_it_as_is_shown(long at, bool isBig)
    {
        RgbImage picture = Slides.Picture(96, 64, new PictureRegion(0, 0, 96, 30));
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName() + ".tif");
        try
        {
            Slides.Far(path, picture, at, isBig);
            Assert.True(new FileInfo(path).Length > at);
            ImageSource slide = ImageSource.FromFile(path);
            long before = GC.GetAllocatedBytesForCurrentThread();
            Assert.Equal((96, 64), ImageDecoder.ReadSize(slide));
            Assert.Equal(picture.Pixels, ImageDecoder.Decode(slide).Pixels);
            Assert.Equal(picture.Crop(13, 11, 50, 40).Pixels, ImageDecoder.Decode(slide with { Region = new(13, 11, 50, 40) }).Pixels);
            Assert.Equal(3, PictureCut.Of(new TileCut { Size = 32 }).Regions(slide).Count);
            Assert.Equal(1, PictureView.Of(slide).Frames);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 64 << 20);

            // Cut off in the middle of its directory, of its lists, of its tiles.
            using (FileStream file = File.OpenWrite(path)) file.SetLength(new FileInfo(path).Length - 20);
            DicomTests.AssertSays("its directories make no sense", () => ImageDecoder.Decode(slide));
            using (FileStream file = File.OpenWrite(path)) file.SetLength(at);
            DicomTests.AssertSays("its directories make no sense", () => ImageDecoder.Decode(slide with { Region = new(13, 11, 50, 40) }));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_file_that_cannot_be_read_is_one_line()
    {
        DicomTests.AssertSays("no-such-slide.tif: cannot be read", () => ImageDecoder.Decode(ImageSource.FromFile("no-such-slide.tif")));
        DicomTests.AssertSays("no-such-slide.tif: cannot be read", () => At(ImageSource.FromFile("no-such-slide.tif"), 10));
    }

    private static RgbImage At(ImageSource source, double magnification) => ImageDecoder.Decode(source with { Magnification = magnification });
}
