using BitMiracle.LibTiff.Classic;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Inputs.Tests.Medical;

public sealed class PictureCutTests
{
    private static readonly PictureRegion Tissue = new(0, 16, 48, 32);

    private static readonly RgbImage Slide = Slides.Picture(100, 70, Tissue);

    [Theory]
    [InlineData(0, Compression.NONE)]
    [InlineData(0, Compression.LZW)]
    [InlineData(16, Compression.NONE)]
    [InlineData(32, Compression.ADOBE_DEFLATE)]
    [InlineData(32, Compression.JPEG)]
    public void A_part_of_a_tiff_file_in_pieces_is_that_part_of_the_whole(int tile, Compression compression)
    {
        byte[] file = Slides.Tiff(tile, compression, Slide, Slides.Picture(20, 20));
        RgbImage whole = ImageDecoder.Decode(ImageSource.FromBytes(file));
        if (compression != Compression.JPEG) Assert.Equal(Slide.Pixels, whole.Pixels);
        foreach (PictureRegion part in (PictureRegion[])[new(0, 0, 100, 70), new(0, 0, 1, 1), new(99, 69, 1, 1), new(13, 11, 50, 40), new(60, 60, 40, 10), new(31, 0, 2, 70)])
            Assert.Equal(whole.Crop(part.Left, part.Top, part.Width, part.Height).Pixels, ImageDecoder.Decode(ImageSource.FromBytes(file) with { Region = part }).Pixels);

        Assert.Equal(Slides.Picture(20, 20).Crop(3, 4, 5, 6).Pixels, ImageDecoder.Decode(ImageSource.FromBytes(Slides.Tiff(tile, Compression.NONE, Slide, Slides.Picture(20, 20))) with { Frame = 2, Region = new(3, 4, 5, 6) }).Pixels);
    }

    [Theory]
    [InlineData(33005, "tile8", false)]
    [InlineData(33003, "ycbcr8", true)]
    public void Tiles_of_jpeg_2000_are_unpacked_as_scanners_number_them(ushort packing, string name, bool isYcbcr)
    {
        CodecPicture tile = CodecPicture.Find(name);
        byte[] stream = File.ReadAllBytes(Testing.Goldens.Path($"codecs/j2k_{name}.j2k")), file = Slides.Packed(packing, Slide, tile.Width, tile.Height, stream), expected = tile.Bytes();
        for (int i = 0; isYcbcr && i < expected.Length; i += 3) (expected[i], expected[i + 1], expected[i + 2]) = Codecs.YcbcrColour.Rgb(expected[i], expected[i + 1], expected[i + 2]);

        RgbImage whole = ImageDecoder.Decode(ImageSource.FromBytes(file));
        Assert.Equal((100, 70), (whole.Width, whole.Height));
        for (int i = 0; i < 100 * 70; i++)
            Assert.Equal(expected.AsSpan(3 * (i / 100 % tile.Height * tile.Width + i % 100 % tile.Width), 3), whole.Pixels.AsSpan(3 * i, 3));
        // More than are decoded at once, but for its tiles.
        Assert.Equal(whole.Crop(13, 11, 50, 40).Pixels, ImageDecoder.Decode(ImageSource.FromBytes(file) with { Region = new(13, 11, 50, 40) }, maxPixels: 2048).Pixels);

        byte[] damaged = Slides.Packed(packing, Slide, tile.Width, tile.Height, stream[..^9]);
        DicomTests.AssertSays("the JPEG 2000 picture is damaged or cut off", () => ImageDecoder.Decode(ImageSource.FromBytes(damaged)));
        byte[] other = Slides.Packed(packing, Slide, 16, 16, stream);
        DicomTests.AssertSays("32 x 16 pixels are more than the 256 allowed", () => ImageDecoder.Decode(ImageSource.FromBytes(other)));
        DicomTests.AssertSays("of a kind that is not read here", () => ImageDecoder.Decode(ImageSource.FromBytes(Slides.Packed(packing, Slide, 32, 32, stream))));
    }

    [Fact]
    public void A_slide_in_tiles_may_have_more_pixels_than_are_decoded_at_once_and_any_other_picture_says_what_to_do()
    {
        byte[] tiled = Slides.Tiff(16, Compression.LZW, Slide), png = Slides.Png(Slide);
        Assert.Equal(Slide.Crop(8, 8, 20, 20).Pixels, ImageDecoder.Decode(ImageSource.FromBytes(tiled) with { Region = new(8, 8, 20, 20) }, maxPixels: 1000).Pixels);
        Assert.Contains("pixels are more than the 1000 allowed", Assert.Throws<InputException>(() => ImageDecoder.Decode(ImageSource.FromBytes(tiled), maxPixels: 1000)).Message, StringComparison.Ordinal);
        foreach (byte[] file in (byte[][])[png, Slides.Tiff(64, Compression.LZW, Slide)])
        {
            string message = Assert.Throws<InputException>(() => ImageDecoder.Decode(ImageSource.FromBytes(file) with { Region = new(8, 8, 20, 20) }, maxPixels: 1000)).Message;
            Assert.Contains("100 x 70 pixels are more than the 1000 that are decoded at once; of a TIFF file in tiles", message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(0, Compression.NONE)]
    [InlineData(16, Compression.LZW)]
    [InlineData(32, Compression.ADOBE_DEFLATE)]
    public void BigTIFF_files_are_read_like_others(int tile, Compression compression)
    {
        RgbImage second = Slides.Picture(20, 20);
        byte[] file = Slides.BigTiff(tile, compression, Slide, second);
        Assert.Equal(43, file[2]);
        Assert.Equal((100, 70), ImageDecoder.ReadSize(ImageSource.FromBytes(file)));
        Assert.Equal(Slide.Pixels, ImageDecoder.Decode(ImageSource.FromBytes(file)).Pixels);
        Assert.Equal(second.Pixels, ImageDecoder.Decode(ImageSource.FromBytes(file) with { Frame = 2 }).Pixels);
        Assert.Equal(Slide.Crop(13, 11, 50, 40).Pixels, ImageDecoder.Decode(ImageSource.FromBytes(file) with { Region = new(13, 11, 50, 40) }).Pixels);
        for (int length = 4; length < file.Length; length += 97)
        {
            byte[] cut = file[..length];
            Assert.Throws<InputException>(() => ImageDecoder.Decode(ImageSource.FromBytes(cut)));
        }

        DicomTests.AssertSays("BigTIFF in big-endian order", () => ImageDecoder.Decode(ImageSource.FromBytes((byte[])[.. "MM\0+"u8, .. file[4..]])));
    }

    [Theory]
    [InlineData(-1, 0, 5, 5)]
    [InlineData(0, 66, 5, 5)]
    [InlineData(96, 0, 5, 5)]
    [InlineData(0, 0, 0, 5)]
    [InlineData(1, 0, int.MaxValue, 5)]
    public void A_part_outside_of_the_picture_is_one_line(int left, int top, int width, int height)
    {
        foreach (byte[] file in (byte[][])[Slides.Png(Slide), Slides.Tiff(16, Compression.NONE, Slide)])
            Assert.Contains("does not lie within the picture of 100 x 70", Assert.Throws<InputException>(() => ImageDecoder.Decode(ImageSource.FromBytes(file) with { Region = new(left, top, width, height) })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Tiles_cover_all_of_a_picture_row_by_row_and_the_last_ones_end_at_its_edge()
    {
        var cut = new TileCut { Size = 32 };
        Assert.Equal(
            [new(0, 0, 32, 32), new(32, 0, 32, 32), new(64, 0, 32, 32), new(68, 0, 32, 32), new(0, 32, 32, 32), new(32, 32, 32, 32), new(64, 32, 32, 32), new(68, 32, 32, 32),
             new(0, 38, 32, 32), new(32, 38, 32, 32), new(64, 38, 32, 32), new(68, 38, 32, 32)],
            cut.Grid(100, 70));
        Assert.Equal([new(0, 0, 32, 32), new(32, 0, 32, 32)], cut.Grid(64, 32));
        Assert.Equal([0, 24, 48, 68], (cut with { Stride = 24 }).Grid(100, 32).Select(place => place.Left));
        Assert.Equal([0, 60, 68], (cut with { Stride = 60 }).Grid(100, 32).Select(place => place.Left));
        Assert.Equal([new(0, 0, 10, 20)], cut.Grid(10, 20));
        Assert.Contains("100 x 1100 tiles are more than the 100000", Assert.Throws<InputException>(() => (cut with { Size = 1 }).Grid(100, 1100)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(7, 3)]
    [InlineData(16, 5)]
    [InlineData(31, 40)]
    public void No_pixel_stays_unseen_where_the_stride_is_at_most_the_size(int size, int sides)
    {
        foreach (int stride in (int[])[1, size, (size + 1) / 2])
        {
            var seen = new bool[sides * (sides + 3)];
            foreach (PictureRegion tile in new TileCut { Size = size, Stride = stride }.Grid(sides, sides + 3))
                for (int i = 0; i < tile.Width * tile.Height; i++) seen[(tile.Top + i / tile.Width) * sides + tile.Left + i % tile.Width] = true;
            Assert.DoesNotContain(false, seen);
        }
    }

    [Fact]
    public void Tiles_without_tissue_are_left_out_and_the_others_say_where_they_are()
    {
        foreach (byte[] file in (byte[][])[Slides.Png(Slide), Slides.Tiff(16, Compression.JPEG, Slide)])
        {
            IReadOnlyList<ContentPart> parts = PictureCut.Of(new TileCut { Size = 32 }).Parts(ImageSource.FromBytes(file));
            Assert.Equal(["TILE 1 (x 0, y 0)", "TILE 2 (x 32, y 0)", "TILE 3 (x 0, y 32)", "TILE 4 (x 32, y 32)", "TILE 5 (x 0, y 38)", "TILE 6 (x 32, y 38)"], parts.OfType<TextPart>().Select(part => part.Text));
            Assert.Equal([true, false, true, false, true, false, true, false, true, false, true, false], parts.Select(part => part is ImagePart));
            Assert.Equal(new PictureRegion(32, 0, 32, 32), ((ImagePart)parts[2]).Image.Region);
        }
    }

    [Fact]
    public void Of_too_many_tiles_a_subset_is_taken_in_their_order_and_the_same_with_the_same_seed()
    {
        ImageSource source = ImageSource.FromBytes(Slides.Png(Slides.Picture(80, 80)));
        PictureRegion[] Chosen(int most, int seed) => [.. PictureCut.Of(new TileCut { Size = 8, Most = most, Tissue = TissueRule.None, Seed = seed }).Regions(source)];
        PictureRegion[] all = Chosen(100, 0), some = Chosen(20, 0);
        Assert.Equal(100, all.Length);
        Assert.Equal(20, some.Length);
        Assert.Equal(all.Where(some.Contains), some);
        Assert.Equal(some, Chosen(20, 0));
        Assert.NotEqual(some, Chosen(20, 1));
        Assert.NotEqual(all.Take(20), some);
    }

    [Theory]
    [InlineData(255, 255, 255, false)] // glass
    [InlineData(128, 128, 128, false)] // grey, a bubble
    [InlineData(240, 238, 245, false)] // glass as scanners tint it
    [InlineData(0, 0, 0, false)] // around the slide
    [InlineData(30, 0, 10, false)] // black of a camera with noise
    [InlineData(230, 210, 225, true)] // pale eosin
    [InlineData(90, 60, 130, true)] // haematoxylin
    [InlineData(150, 100, 60, true)] // DAB
    [InlineData(0, 200, 40, true)] // fluorescence
    public void Tissue_has_colour_and_is_not_black(byte red, byte green, byte blue, bool holds)
    {
        var tile = new RgbImage(20, 9, [.. Enumerable.Range(0, 180).SelectMany(_ => new[] { red, green, blue })]);
        Assert.Equal(holds, TissueRule.Hsv.Holds(tile));
        Assert.True(TissueRule.None.Holds(tile));
    }

    [Fact]
    public void A_share_of_the_tile_has_to_be_tissue()
    {
        RgbImage tile = Slides.Picture(32, 32, new PictureRegion(0, 0, 8, 32));
        Assert.True(TissueRule.Parse("hsv").Holds(tile)); // a quarter
        Assert.True(TissueRule.Parse("hsv/0.25").Holds(tile));
        Assert.False(TissueRule.Parse("hsv/0.26").Holds(tile));
        Assert.True(TissueRule.Parse("hsv/0").Holds(Slides.Picture(8, 8)));
        foreach (string name in (string[])["", "otsu", "hsv/", "hsv/2", "hsv/-1", "hsv/NaN"])
            Assert.Contains("expected hsv, hsv/SHARE", Assert.Throws<InputException>(() => TissueRule.Parse(name)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_slide_without_tissue_is_one_line_and_a_picture_of_one_tile_is_shown_without_words()
    {
        ImageSource glass = ImageSource.FromBytes(Slides.Png(Slides.Picture(40, 40)));
        Assert.Contains("no tile holds tissue by the rule 'hsv'", Assert.Throws<InputException>(() => PictureCut.Of(new TileCut { Size = 32 }).Parts(glass)).Message, StringComparison.Ordinal);
        Assert.Equal(new ImagePart(glass with { Region = new(0, 0, 40, 40) }), Assert.Single(PictureCut.Of(new TileCut { Tissue = TissueRule.None }).Parts(glass)));
    }

    [Fact]
    public void Crops_follow_the_whole_picture_scale_by_scale_and_cover_it_without_overlap()
    {
        ImageSource source = ImageSource.FromBytes(Slides.Png(Slide));
        IReadOnlyList<ContentPart> parts = PictureCut.OfScales(["2", "3"]).Parts(source);
        ImageSource[] pictures = [.. parts.OfType<ImagePart>().Select(part => part.Image)];
        Assert.Equal(1 + 4 + 9, pictures.Length);
        Assert.Equal(source, pictures[0]);
        Assert.Equal(new PictureRegion(50, 35, 50, 35), pictures[4].Region);
        Assert.Equal(new PictureRegion(33, 23, 33, 23), pictures[9].Region);
        Assert.All((int[][])[[1, 4], [5, 9]], scale => Assert.Equal(100 * 70, pictures.Skip(scale[0]).Take(scale[1]).Sum(part => part.Region!.Value.Width * part.Region.Value.Height)));
        string[] words = [.. parts.OfType<TextPart>().Select(part => part.Text)];
        Assert.Equal(["WHOLE PICTURE", "CROP 1 of 2 x 2 (row 1, column 1)", "CROP 2 of 2 x 2 (row 1, column 2)"], words[..3]);
        Assert.Equal("CROP 9 of 3 x 3 (row 3, column 3)", words[^1]);
        Assert.Equal(words, PictureCut.OfScales(["2,3"]).Parts(source).OfType<TextPart>().Select(part => part.Text));
    }

    [Theory]
    [InlineData("1")]
    [InlineData("9")]
    [InlineData("3,2")]
    [InlineData("2,2")]
    [InlineData("2,x")]
    [InlineData("")]
    public void Scales_that_make_no_sense_are_one_line(string scales) =>
        Assert.Contains("expected rising scales from 2 to 8", Assert.Throws<InputException>(() => PictureCut.OfScales([scales])).Message, StringComparison.Ordinal);

    [Fact]
    public void A_picture_too_small_for_its_crops_is_one_line() =>
        Assert.Contains("3 x 9 pixels cannot be cut in 4 x 4", Assert.Throws<InputException>(() => PictureCut.OfScales(["4"]).Parts(ImageSource.FromBytes(Slides.Png(Slides.Picture(3, 9))))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("size", "0", "size: expected a whole number from 1 to 8000")]
    [InlineData("size", "8001", "size: expected")]
    [InlineData("stride", "0", "stride: expected a whole number from 1")]
    [InlineData("most", "many", "most: expected a whole number from 1 to 100000, got 'many'")]
    [InlineData("seed", "-1", "seed: expected a whole number from 0")]
    [InlineData("tissue", "otsu", "tissue rule 'otsu' is unknown")]
    public void Values_that_make_no_sense_are_one_line(string key, string value, string says) =>
        Assert.Contains(says, Assert.Throws<InputException>(() => TileCut.Parse(new Dictionary<string, string> { [key] = value })).Message, StringComparison.Ordinal);

    [Fact]
    public void A_damaged_piece_is_one_line_and_stands_in_no_other_pieces_way()
    {
        byte[] file = Slides.Tiff(32, Compression.ADOBE_DEFLATE, Slide);
        for (int at = 8; at < 600; at++) file[at] ^= 0x5A;
        Assert.Equal(Slide.Crop(96, 64, 4, 6).Pixels, ImageDecoder.Decode(ImageSource.FromBytes(file) with { Region = new(96, 64, 4, 6) }).Pixels);
        Assert.Contains("the TIFF file is damaged", Assert.Throws<InputException>(() => ImageDecoder.Decode(ImageSource.FromBytes(file) with { Region = new(0, 0, 40, 40) })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_whole_pictures_of_a_conversation_are_cut()
    {
        ImageSource source = ImageSource.FromBytes(Slides.Png(Slide));
        ImagePart part = new(source with { Region = new(0, 0, 5, 5) }), slice = new(ImageSource.FromFile("ct.nii") with { Slice = 3 });
        ChatMessage[] messages = [ChatMessage.FromText(ChatRole.System, "Look."), new(ChatRole.User, [part, slice, new ImagePart(source), new TextPart("What?")])];
        IReadOnlyList<ChatMessage> cut = PictureCut.OfScales(["2"]).Apply(messages);
        Assert.Equal(messages[0].Content, cut[0].Content);
        Assert.Equal(2 + 10 + 1, cut[1].Content.Count);
        Assert.Equal([part, slice, new ImagePart(source), new TextPart("WHOLE PICTURE")], cut[1].Content.Take(4));
    }
}
