using GemmaCore.Inputs.Dicom;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Inputs.Tests.Medical;

/// <summary>The tables of grey values that a file may ask for instead of a window (PS3.3, C.11.2.1.1).</summary>
public sealed class DicomTableTests
{
    private const uint Tables = 0x0028_3010, Descriptor = 0x0028_3002, Values = 0x0028_3006;

    [Theory]
    [InlineData(false, SequenceLengths.Given)]
    [InlineData(false, SequenceLengths.Undefined)]
    [InlineData(true, SequenceLengths.Given)]
    [InlineData(true, SequenceLengths.Undefined)]
    public void A_radiograph_without_a_window_goes_through_its_table(bool isImplicit, SequenceLengths lengths)
    {
        // 12 bits: 0 of 4095 is black, 4095 white, 2048 is 127.53; numbers outside 100..103 get the nearest value
        DicomWriter writer = Radiograph(isImplicit).Sequence(Tables, new DicomWriter(isImplicit, lengths).Short(Descriptor, 4, 100, 12).Short(Values, 0, 2048, 4000, 4095));
        Assert.Equal(new byte[] { 0, 0, 128, 249, 255, 255 }, Greys(writer));
        Assert.Equal(new byte[] { 0, 0, 128, 249, 255, 255 }, Greys(writer, "file"));
        Assert.Equal(new byte[] { 255, 255, 127, 6, 0, 0 }, Greys(writer.Text(0x0028_0004, "CS", "MONOCHROME1")));
    }

    [Fact]
    public void A_window_wins_unless_the_table_is_asked_for_and_the_first_of_several_tables_counts()
    {
        DicomWriter other = Table(8, [1, 0, 2, 0, 3, 0, 4, 0]);
        DicomWriter writer = Radiograph().Sequence(Tables, Table(8, [10, 0, 20, 0, 30, 0, 40, 0]), other).Number(0x0028_1050, 102).Number(0x0028_1051, 4);
        Assert.Equal(new byte[] { 0, 0, 64, 128, 191, 255 }, Greys(writer));
        Assert.Equal(new byte[] { 0, 0, 64, 128, 191, 255 }, Greys(writer, "file"));
        Assert.Equal(new byte[] { 10, 10, 20, 30, 40, 40 }, Greys(writer, "lut"));
    }

    [Fact]
    public void Values_of_8_bits_lie_in_bytes_or_each_in_two()
    {
        Assert.Equal(new byte[] { 10, 10, 20, 30, 40, 40 }, Greys(Radiograph().Sequence(Tables, Table(8, [10, 20, 30, 40]))));
        Assert.Equal(new byte[] { 10, 10, 20, 30, 40, 40 }, Greys(Radiograph().Sequence(Tables, Table(8, [10, 0, 20, 0, 30, 0, 40, 0]))));
        Assert.Equal(new byte[] { 0, 0, 1, 255, 255, 255 }, Greys(Radiograph().Sequence(Tables, Table(16, [0, 0, 1, 1, 255, 255, 255, 255]))));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_table_is_asked_for_what_slope_and_intercept_make_of_the_numbers(bool isImplicit)
    {
        // Stored 99..104 mean -2..3. Without value representations, that some numbers may be negative says that the first is signed.
        DicomWriter item = new DicomWriter(isImplicit).Element(Descriptor, "SS", [4, 0, 0xFF, 0xFF, 8, 0]).Element(Values, "OW", [10, 20, 30, 40]);
        DicomWriter writer = Radiograph(isImplicit).Number(0x0028_1052, -101).Number(0x0028_1053, 1).Sequence(Tables, item);
        Assert.Equal(new byte[] { 10, 10, 20, 30, 40, 40 }, Greys(writer));
    }

    [Fact]
    public void Ct_keeps_its_three_windows_and_frames_have_their_own_tables()
    {
        DicomWriter ct = DicomWriter.Grey(2, 1, [100, 103], "CT").Sequence(Tables, Table(8, [10, 20, 30, 40]));
        Assert.Equal(ImageDecoder.Decode(Source(ct, "ct")).Pixels, ImageDecoder.Decode(Source(ct, null)).Pixels);
        Assert.Equal(new byte[] { 10, 40 }, Greys(ct, "file"));

        DicomWriter Frame(byte grey) => new DicomWriter().Sequence(0x0028_9132, new DicomWriter().Sequence(Tables, Table(8, [grey, grey, grey, grey])));
        DicomWriter enhanced = DicomWriter.Grey(1, 1, [100, 100], "DX").Text(0x0028_0008, "IS", "2").Sequence(0x5200_9230, Frame(7), Frame(9));
        Assert.Equal(new byte[] { 7 }, Greys(enhanced));
        Assert.Equal(new byte[] { 9 }, Greys(enhanced, frame: 2));
    }

    [Theory]
    [InlineData(new byte[] { 4, 0, 100, 0 }, "(0028,3002), which describes a table of values, is missing or cut short")]
    [InlineData(new byte[] { 5, 0, 100, 0, 8, 0 }, "(0028,3006) has 4 bytes for 5 values of 8 bits")]
    [InlineData(new byte[] { 0, 0, 100, 0, 8, 0 }, "(0028,3006) has 4 bytes for 65536 values of 8 bits")]
    [InlineData(new byte[] { 4, 0, 100, 0, 16, 0 }, "(0028,3006) has 4 bytes for 4 values of 16 bits")]
    [InlineData(new byte[] { 4, 0, 100, 0, 7, 0 }, "(0028,3006) has 4 bytes for 4 values of 7 bits")]
    [InlineData(new byte[] { 4, 0, 100, 0, 17, 0 }, "(0028,3006) has 4 bytes for 4 values of 17 bits")]
    public void A_descriptor_that_does_not_go_with_its_table_is_one_line_and_stands_in_no_other_windows_way(byte[] descriptor, string says)
    {
        DicomWriter writer = Radiograph().Text(0x0010_0010, "PN", "INVENTED^NAME").Sequence(Tables, new DicomWriter().Element(Descriptor, "US", descriptor).Element(Values, "OW", [10, 20, 30, 40]));
        InputException error = Assert.Throws<InputException>(() => Greys(writer));
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("INVENTED", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
        Assert.Equal(new byte[] { 0, 51, 102, 153, 204, 255 }, Greys(writer, "full"));
    }

    [Fact]
    public void A_file_without_a_table_says_so()
    {
        InputException error = Assert.Throws<InputException>(() => Greys(Radiograph().Number(0x0028_1050, 102).Number(0x0028_1051, 4), "lut"));
        Assert.Contains("has no table of grey values (VOI LUT) of its own", error.Message, StringComparison.Ordinal);
        Assert.Contains("has no window of its own", Assert.Throws<InputException>(() => Greys(Radiograph(), "file")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(double.MaxValue, 4)]
    [InlineData(double.MinValue, 1)]
    public void Numbers_beyond_all_tables_get_its_ends(double value, byte grey)
    {
        DicomFile file = DicomFile.Read(Radiograph().Sequence(Tables, Table(8, [1, 2, 3, 4])).File(), "file");
        Assert.Equal(grey, LookUpTable.Read(file, file.Data.Items(Tables)[0], Descriptor, Values, isSigned: false).Grey(value));
    }

    private static DicomWriter Radiograph(bool isImplicit = false) => DicomWriter.Grey(6, 1, [99, 100, 101, 102, 103, 104], "DX", isImplicit: isImplicit);

    private static DicomWriter Table(int bits, byte[] values) => new DicomWriter().Short(Descriptor, 4, 100, bits).Element(Values, "OW", values);

    private static byte[] Greys(DicomWriter writer, string? window = null, int frame = 1) =>
        [.. ImageDecoder.Decode(Source(writer, window) with { Frame = frame }).Pixels.Where((_, index) => index % 3 == 0)];

    private static ImageSource Source(DicomWriter writer, string? window) =>
        ImageSource.FromBytes(writer.File()) with { Window = window is null ? null : GreyWindow.Parse(window) };
}
