using GemmaCore.Testing.Medical;
using SkiaSharp;

namespace GemmaCore.Inputs.Tests.Medical;

public sealed class DicomTests
{
    private static readonly int[] Ramp = [0, 100, 1000, 2048, 3000, 4095];

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    [InlineData(true, false)]
    public void Every_plain_transfer_syntax_is_read_with_and_without_a_preamble(bool isImplicit, bool hasPreamble)
    {
        DicomWriter writer = DicomWriter.Grey(3, 2, Ramp, "DX", bitsStored: 12, isImplicit: isImplicit).Number(0x0028_1050, 2048).Number(0x0028_1051, 4096);
        writer.HasPreamble = writer.HasMeta = hasPreamble;

        RgbImage image = Decode(writer);

        Assert.Equal((3, 2), (image.Width, image.Height));
        // Google's window: 2048 +- 4096 / 2, rounded half to even: 2048 of 4096 is 127.5, and 128 is even.
        Assert.Equal(new byte[] { 0, 6, 62, 128, 187, 255 }, Greys(image));
        Assert.Equal((3, 2), ImageDecoder.ReadSize(ImageSource.FromBytes(writer.File())));
    }

    [Theory]
    [InlineData(SequenceLengths.Given, false)]
    [InlineData(SequenceLengths.Undefined, false)]
    [InlineData(SequenceLengths.Given, true)]
    [InlineData(SequenceLengths.Undefined, true)]
    public void Enhanced_files_keep_window_and_rescale_in_groups_of_their_frames(SequenceLengths lengths, bool isImplicit)
    {
        DicomWriter Item() => new(isImplicit, lengths);
        DicomWriter Window(double centre) => Item().Sequence(0x0028_9132, Item().Number(0x0028_1050, centre).Number(0x0028_1051, 100));
        DicomWriter writer = Item().Text(0x0008_0060, "CS", "DX").Shape(1, 1, 1, "MONOCHROME2", 16).Text(0x0028_0008, "IS", "2")
            .Sequence(0x5200_9229, Item().Sequence(0x0028_9145, Item().Number(0x0028_1052, -10).Number(0x0028_1053, 2)))
            .Sequence(0x5200_9230, Window(40), Window(90)).Pixels([30, 0, 50, 0], "OW");

        // 30 * 2 - 10 = 50 of -10..90; 50 * 2 - 10 = 90 of 40..140, and 255 / 100 * 50 is a hair less than 127.5 in double, as in NumPy
        Assert.Equal(new byte[] { 153 }, Greys(Decode(writer)));
        Assert.Equal(new byte[] { 127 }, Greys(Decode(writer, frame: 2)));
        AssertSays("no frame 3; the file has 2", () => Decode(writer, frame: 3));
    }

    [Fact]
    public void Ct_becomes_three_windows_in_hounsfield_units()
    {
        // stored 0..4095 with intercept -1024: -1024, 0, 40, 175, 1024 HU
        DicomWriter writer = DicomWriter.Grey(5, 1, [0, 1024, 1064, 1199, 2048], "CT").Number(0x0028_1052, -1024).Number(0x0028_1053, 1);

        Assert.Equal(new byte[] { 0, 0, 0, /* 0 */ 128, 98, 0, /* 40 */ 132, 128, 128, /* 175 */ 149, 226, 255, /* 1024 */ 255, 255, 255 }, Decode(writer).Pixels);
        Assert.Equal(new byte[] { 0, 0, 0, 128, 0, 0, 132, 0, 128, 149, 128, 255, 255, 255, 255 }, Decode(writer, window: "ct-serving").Pixels);
        Assert.Equal(new byte[] { 0, 0, 128, 255, 255 }, Greys(Decode(writer, window: "brain")));
    }

    [Fact]
    public void Ct_values_without_both_rescale_tags_are_hounsfield_units_and_one_tag_alone_is_refused()
    {
        DicomWriter writer = DicomWriter.Grey(2, 1, [-1024, 1024], "CT", isSigned: true);
        Assert.Equal(new byte[] { 0, 0, 0, 255, 255, 255 }, Decode(writer).Pixels);

        AssertSays("Rescale Slope", () => Decode(writer.Number(0x0028_1053, 1)));
    }

    [Fact]
    public void Mr_is_scaled_over_all_frames_of_the_file_and_a_constant_one_is_white()
    {
        DicomWriter writer = DicomWriter.Grey(2, 1, [0, 50, 60, 100], "MR").Text(0x0028_0008, "IS", "2");
        Assert.Equal(new byte[] { 0, 128 }, Greys(Decode(writer)));
        Assert.Equal(new byte[] { 153, 255 }, Greys(Decode(writer, frame: 2)));

        Assert.Equal(new byte[] { 255, 255 }, Greys(Decode(DicomWriter.Grey(2, 1, [7, 7], "MR"))));
    }

    [Fact]
    public void Radiographs_without_a_window_are_stretched_when_they_have_16_bits_and_left_alone_when_they_have_8()
    {
        Assert.Equal(new byte[] { 0, 51, 255 }, Greys(Decode(DicomWriter.Grey(3, 1, [1000, 1200, 2000], "CR", bitsStored: 12))));
        DicomWriter eight = new DicomWriter().Text(0x0008_0060, "CS", "DX").Shape(3, 1, 1, "MONOCHROME2", 8).Pixels([10, 20, 30]);
        Assert.Equal(new byte[] { 10, 20, 30 }, Greys(Decode(eight)));
        Assert.Equal(new byte[] { 0, 128, 255 }, Greys(Decode(eight, window: "full")));
    }

    [Fact]
    public void Monochrome1_is_inverted_last()
    {
        DicomWriter writer = DicomWriter.Grey(3, 1, [0, 40, 200], "DX").Number(0x0028_1050, 100).Number(0x0028_1051, 200).Text(0x0028_0004, "CS", "MONOCHROME1");
        Assert.Equal(new byte[] { 255, 204, 0 }, Greys(Decode(writer)));
    }

    [Fact]
    public void The_first_of_several_windows_counts_and_sigmoid_is_s_shaped()
    {
        DicomWriter writer = DicomWriter.Grey(3, 1, [0, 100, 200], "DX").Number(0x0028_1050, 100, 7).Number(0x0028_1051, 200, 9);
        Assert.Equal(new byte[] { 0, 127, 255 }, Greys(Decode(writer)));

        // 255 / (1 + exp(-4 (x - 100) / 200)): 255 / (1 + e^2), 127.5, 255 / (1 + e^-2)
        Assert.Equal(new byte[] { 30, 128, 225 }, Greys(Decode(writer.Text(0x0028_1056, "CS", "SIGMOID"))));
    }

    [Fact]
    public void Bits_beside_the_stored_ones_are_masked_and_signs_extended()
    {
        // 12 bits up to bit 11; the upper four hold an old overlay.
        DicomWriter writer = DicomWriter.Grey(4, 1, [unchecked((short)0xF7FF), 0x0800, 0x1FFF, 0x0001], "MR", bitsStored: 12, isSigned: true);
        // 2047, -2048, -1, 1
        Assert.Equal(new byte[] { 255, 0, 127, 128 }, Greys(Decode(writer)));
    }

    [Fact]
    public void Numbers_become_what_the_modality_table_says()
    {
        DicomWriter table = new DicomWriter().Short(0x0028_3002, 3, 10, 16).Short(0x0028_3006, 0, 300, 1000);
        DicomWriter writer = DicomWriter.Grey(4, 1, [0, 11, 12, 500], "DX").Sequence(0x0028_3000, table);
        Assert.Equal(new byte[] { 0, 76, 255, 255 }, Greys(Decode(writer)));
    }

    [Fact]
    public void Colours_are_read_side_by_side_in_planes_and_in_brightness_and_differences()
    {
        DicomWriter Colour(string photometric, params byte[] bytes) => new DicomWriter().Text(0x0008_0060, "CS", "XC").Shape(2, 1, 3, photometric, 8).Pixels(bytes);
        Assert.Equal(new byte[] { 1, 2, 3, 4, 5, 6 }, Decode(Colour("RGB", 1, 2, 3, 4, 5, 6)).Pixels);
        Assert.Equal(new byte[] { 1, 2, 3, 4, 5, 6 }, Decode(Colour("RGB", 1, 4, 2, 5, 3, 6).Short(0x0028_0006, 1)).Pixels);
        // red is 76, 85, 255 in BT.601, the middle grey 128, 128, 128
        Assert.Equal(new byte[] { 254, 0, 0, 128, 128, 128 }, Decode(Colour("YBR_FULL", 76, 85, 255, 128, 128, 128)).Pixels);
        Assert.Equal(new byte[] { 10, 10, 10, 20, 20, 20 }, Decode(Colour("YBR_FULL_422", 10, 20, 128, 128)).Pixels);
        AssertSays("coloured; leave the window out", () => Decode(Colour("RGB", 1, 2, 3, 4, 5, 6), window: "lung"));
    }

    [Fact]
    public void Palettes_are_looked_up()
    {
        DicomWriter writer = new DicomWriter().Text(0x0008_0060, "CS", "US").Shape(4, 1, 1, "PALETTE COLOR", 8).Pixels([0, 5, 6, 9]);
        for (uint colour = 0; colour < 3; colour++)
            writer.Short(0x0028_1101 + colour, 2, 5, 16).Short(0x0028_1201 + colour, 0x1000 * (int)(colour + 1), 0xFF00);
        Assert.Equal(new byte[] { 16, 32, 48, 16, 32, 48, 255, 255, 255, 255, 255, 255 }, Decode(writer).Pixels);
        AssertSays("(0028,1101)", () => Decode(writer.Without(0x0028_1101)));
    }

    [Fact]
    public void Run_lengths_are_unpacked()
    {
        DicomWriter writer = new DicomWriter { TransferSyntax = "1.2.840.10008.1.2.5" }.Text(0x0008_0060, "CS", "MR").Shape(4, 1, 1, "MONOCHROME2", 16);
        // upper bytes 1 1 1 2 (a run, then a literal), lower bytes 0 0 0 0
        byte[] header = new byte[64];
        (header[0], header[4], header[8]) = (2, 64, 70);
        writer.Fragments([0], [.. header, 0xFE, 1, 0, 2, 0x80, 0x80, 0xFD, 0]);

        Assert.Equal(new byte[] { 0, 0, 0, 255 }, Greys(Decode(writer)));
        AssertSays("plane 1 of 2", () => Decode(writer.Fragments([0], [.. header, 0xFF, 1, 0, 2, 0x80, 0x80, 0xFD, 0])));
    }

    [Fact]
    public void Baseline_jpeg_is_unpacked_frame_by_frame_however_it_is_cut()
    {
        byte[] first = Jpeg(200), second = Jpeg(60);
        DicomWriter writer = new DicomWriter { TransferSyntax = "1.2.840.10008.1.2.4.50" }.Text(0x0008_0060, "CS", "US").Shape(8, 8, 3, "YBR_FULL_422", 8).Text(0x0028_0008, "IS", "2");
        int half = first.Length / 4 * 2;
        byte[][] cut = [first[..half], first[half..], second];

        writer.Fragments([], first, second);
        Assert.Equal((200, 60), (Greys(Decode(writer))[0], Greys(Decode(writer, frame: 2))[0]));
        uint secondAt = (uint)(half + 8 + (first.Length - half + 1) / 2 * 2 + 8);
        writer.Fragments([0, secondAt], cut);
        Assert.Equal((200, 60), (Greys(Decode(writer))[0], Greys(Decode(writer, frame: 2))[0]));
        AssertSays("3 fragments for 2 frames", () => Decode(writer.Fragments([], cut)));
        AssertSays("8 x 8, and the file says 16 x 8", () => Decode(writer.Short(0x0028_0011, 16).Fragments([], first, second)));
    }

    private static byte[] Jpeg(byte grey)
    {
        using var bitmap = new SKBitmap(8, 8);
        bitmap.Erase(new SKColor(grey, grey, grey));
        using SKData data = bitmap.Encode(SKEncodedImageFormat.Jpeg, 100);
        return data.ToArray();
    }

    internal static RgbImage Decode(DicomWriter writer, int frame = 1, string? window = null) =>
        ImageDecoder.Decode(ImageSource.FromBytes(writer.File()) with { Frame = frame, Window = window is null ? null : GreyWindow.Parse(window) });

    private static byte[] Greys(RgbImage image)
    {
        for (int i = 0; i < image.Pixels.Length; i += 3) Assert.True(image.Pixels[i] == image.Pixels[i + 1] && image.Pixels[i] == image.Pixels[i + 2]);
        return [.. image.Pixels.Where((_, index) => index % 3 == 0)];
    }

    internal static void AssertSays(string words, Action action)
    {
        string message = Assert.Throws<InputException>(action).Message;
        Assert.Contains(words, message, StringComparison.Ordinal);
        Assert.DoesNotContain(message, char.IsControl);
    }
}
