using BitMiracle.LibTiff.Classic;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Inputs.Tests.Medical;

/// <summary>What can be chosen of a file, for people who look at it before they ask.</summary>
public sealed class PictureViewTests
{
    private static DicomWriter Scan => DicomWriter.Grey(2, 1, [0, 1024, 1064, 2048], "CT").Text(0x0028_0008, "IS", "2").Number(0x0028_1052, -1024).Number(0x0028_1053, 1);

    [Fact]
    public void Ct_has_its_three_windows_first_then_its_own_then_those_in_hounsfield_units()
    {
        DicomWriter writer = Scan.Number(0x0028_1050, -600, 40).Number(0x0028_1051, 1500, 400).Text(0x0028_1055, "LO", @"LUNG\SOFT TISSUE");
        PictureView view = View(writer, 2);
        Assert.Equal((2, "ct", null, true), (view.Frames, view.Window!.Name, view.Range, view.IsHounsfield));
        Assert.Equal(["ct", "file", "file:2", "ct-serving", "lung", "mediastinum", "abdomen", "liver", "bone", "brain", "subdural", "full"], view.Windows.Select(choice => choice.Window!.Name));
        Assert.Equal(["LUNG", "SOFT TISSUE"], view.Windows.Where(choice => choice.Label.Length > 0).Select(choice => choice.Label));
        Assert.Equal((40, 400), View(writer, 1, "file:2").Range);
        Assert.Equal((40, 80), View(writer, 1, "brain").Range);
        // 40 and 1024 HU, of this frame alone
        Assert.Equal((532, 984), View(writer, 2, "full").Range);
        Assert.Equal(((-12.5, 700), "-12.5/700"), (View(writer, 1, "-12.5/700").Range!.Value, View(writer, 1, "-12.5/700").Window!.Name));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("file")]
    [InlineData("file:2")]
    [InlineData("lung")]
    [InlineData("full")]
    [InlineData("0/100")]
    public void What_is_seen_is_what_the_model_is_shown(string? window)
    {
        foreach (DicomWriter writer in new[] { Scan, DicomWriter.Grey(2, 1, [0, 50, 60, 100], "MR").Text(0x0028_0008, "IS", "2"), DicomWriter.Grey(2, 2, [0, 50, 60, 100], "DX") })
        {
            ImageSource source = Source(writer.Number(0x0028_1050, 20, 40).Number(0x0028_1051, 50, 60).File(), 1, window);
            Assert.Equal(ImageDecoder.Decode(source).Pixels, PictureView.Of(source).Picture.Pixels);
        }
    }

    [Fact]
    public void Each_window_of_a_file_can_be_asked_for_and_no_other()
    {
        DicomWriter writer = DicomWriter.Grey(3, 1, [0, 50, 100], "DX").Number(0x0028_1050, 50, 100).Number(0x0028_1051, 100, 200);
        Assert.Equal(ImageDecoder.Decode(Source(writer.File(), 1, "50/100")).Pixels, ImageDecoder.Decode(Source(writer.File(), 1, "file")).Pixels);
        Assert.Equal(ImageDecoder.Decode(Source(writer.File(), 1, "50/100")).Pixels, ImageDecoder.Decode(Source(writer.File(), 1, "file:1")).Pixels);
        Assert.Equal(ImageDecoder.Decode(Source(writer.File(), 1, "100/200")).Pixels, ImageDecoder.Decode(Source(writer.File(), 1, "file:2")).Pixels);
        DicomTests.AssertSays("has 2 windows of its own, and 'file:3' was asked for", () => ImageDecoder.Decode(Source(writer.File(), 1, "file:3")));
        foreach (string none in new[] { "file:0", "file:-1", "file:", "file:x", "file:99999999999" }) DicomTests.AssertSays("file:2 (the file's second)", () => GreyWindow.Parse(none));
        // The second makes no sense: the first still does.
        Assert.Single(View(writer.Number(0x0028_1051, 100, 0), 1).Windows, choice => choice.Window!.OwnIndex is not null);
    }

    [Fact]
    public void Bytes_as_they_are_have_no_name_and_colours_have_no_window()
    {
        PictureView bytes = View(new DicomWriter().Text(0x0008_0060, "CS", "US").Shape(2, 1, 1, "MONOCHROME2", 8).Pixels([7, 200]), 1);
        Assert.Equal(new byte[] { 7, 7, 7, 200, 200, 200 }, bytes.Picture.Pixels);
        Assert.Equal((null, null), (bytes.Window, bytes.Range));
        Assert.Equal([null, "full"], bytes.Windows.Select(choice => choice.Window?.Name));
        Assert.Empty(View(DicomWriter.Colour(1, 1, [1, 2, 3]), 1).Windows);
    }

    [Fact]
    public void Pages_of_tiff_are_counted_and_values_that_are_no_brightness_are_stretched()
    {
        RgbImage picture = Slides.Picture(40, 32);
        ImageSource pages = ImageSource.FromBytes(Slides.Tiff(16, Compression.LZW, picture, Slides.Picture(20, 10), picture)) with { Frame = 2 };
        PictureView view = PictureView.Of(pages);
        Assert.Equal((3, 20, 10, 0), (view.Frames, view.Picture.Width, view.Picture.Height, view.Windows.Count));
        DicomTests.AssertSays("no page 4", () => PictureView.Of(pages with { Frame = 4 }));

        byte[] signed = DeepPictures.Tiff(2, 1, 16, 2, [.. BitConverter.GetBytes((short)-1000), .. BitConverter.GetBytes((short)1000)]);
        Assert.Equal(("full", (0, 2000)), (PictureView.Of(ImageSource.FromBytes(signed)).Window!.Name, PictureView.Of(ImageSource.FromBytes(signed)).Range!.Value));
        PictureView deep = PictureView.Of(ImageSource.FromBytes(DeepPictures.Tiff(2, 1, 16, 1, [0, 0, 0, 255])) with { Window = GreyWindow.Parse("10/20") });
        Assert.Equal("10/20", deep.Window!.Name);
        Assert.Equal([null, "full"], deep.Windows.Select(choice => choice.Window?.Name));
    }

    [Fact]
    public void A_window_that_is_given_looks_at_no_other_frame_of_an_mr_file()
    {
        // The second frame is not there.
        DicomWriter writer = DicomWriter.Grey(2, 1, [0, 50], "MR").Text(0x0028_0008, "IS", "2");
        Assert.Equal(new byte[] { 0, 0, 0, 127, 127, 127 }, ImageDecoder.Decode(Source(writer.File(), 1, "50/100")).Pixels);
        Assert.Equal((50, 100), View(writer, 1, "50/100").Range);
        foreach (string? window in new[] { null, "full" }) DicomTests.AssertSays("frame 2 needs 4 bytes", () => ImageDecoder.Decode(Source(writer.File(), 1, window)));
    }

    private static PictureView View(DicomWriter writer, int frame, string? window = null) => PictureView.Of(Source(writer.File(), frame, window));

    private static ImageSource Source(byte[] file, int frame, string? window) => ImageSource.FromBytes(file) with { Frame = frame, Window = window is null ? null : GreyWindow.Parse(window) };
}
