using System.Buffers.Binary;
using GemmaCore.Testing.Fuzz;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Inputs.Tests.Medical;

public sealed class DicomBadInputTests
{
    [Theory]
    [InlineData("1.2.840.10008.1.2.2", "Explicit VR Big Endian")]
    [InlineData("1.2.840.10008.1.2.1.99", "Deflated")]
    [InlineData("1.2.840.10008.1.2.4.92", "JPEG 2000 Part 2 Lossless")]
    [InlineData("1.2.840.10008.1.2.4.201", "High-Throughput JPEG 2000 Lossless")]
    [InlineData("1.2.3.4.5", "an unknown one (1.2.3.4.5)")]
    public void Other_transfer_syntaxes_are_refused_by_name_with_the_remedy(string uid, string says)
    {
        DicomWriter writer = DicomWriter.Grey(1, 1, [1]);
        writer.TransferSyntax = uid;
        DicomTests.AssertSays(says, () => DicomTests.Decode(writer));
        DicomTests.AssertSays("gdcmconv --raw", () => DicomTests.Decode(writer));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Every_truncation_of_a_file_is_refused(bool packed)
    {
        DicomWriter writer = DicomWriter.Grey(4, 4, Enumerable.Range(0, 16), "MR")
            .Sequence(0x0008_1140, new DicomWriter(false, SequenceLengths.Undefined).Text(0x0008_1150, "UI", "1.2.3"));
        if (packed)
        {
            writer = new DicomWriter { TransferSyntax = "1.2.840.10008.1.2.5" }.Text(0x0008_0060, "CS", "MR").Shape(4, 1, 1, "MONOCHROME2", 8)
                .Fragments([0], [1, 0, 0, 0, 64, .. new byte[59], 0xFD, 9]);
        }

        byte[] whole = writer.File();
        Assert.NotNull(ImageDecoder.Decode(ImageSource.FromBytes(whole)));
        for (int length = 0; length < whole.Length; length++)
        {
            byte[] cut = whole[..length];
            Assert.Throws<InputException>(() => ImageDecoder.Decode(ImageSource.FromBytes(cut)));
        }
    }

    [Fact]
    public void An_absurd_length_is_refused_before_anything_is_allocated()
    {
        byte[] file = DicomWriter.Grey(4, 4, Enumerable.Range(0, 16)).File();
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(file.Length - 32 - 4), 0xFFFF_FFF0);
        DicomTests.AssertSays("should have 4294967280 bytes, and 32 are left", () => ImageDecoder.Decode(ImageSource.FromBytes(file)));

        DicomWriter huge = DicomWriter.Grey(4, 4, Enumerable.Range(0, 16)).Short(0x0028_0010, 65_535).Short(0x0028_0011, 65_535);
        DicomTests.AssertSays("65535 x 65535", () => DicomTests.Decode(huge));
        DicomTests.AssertSays("needs 128 bytes of pixels, and 32 are there", () => DicomTests.Decode(huge.Short(0x0028_0010, 8).Short(0x0028_0011, 8)));
    }

    [Theory]
    [InlineData(SequenceLengths.Given, true)]
    [InlineData(SequenceLengths.Undefined, false)]
    public void Sequences_may_lie_in_one_another_but_not_without_end(SequenceLengths lengths, bool readable)
    {
        DicomWriter inner = new DicomWriter(false, lengths).Text(0x0008_0060, "CS", "MR");
        for (int depth = 0; depth < 40; depth++) inner = new DicomWriter(false, lengths).Sequence(0x0040_0275, inner);
        DicomWriter writer = DicomWriter.Grey(1, 1, [1]).Element(0x0040_0275, "SQ", []);
        byte[] file = writer.File(), nested = inner.Dataset();
        int at = file.AsSpan().IndexOf((byte[])[0x40, 0, 0x75, 2]);
        byte[] whole = [.. file[..at], .. nested, .. file[(at + 12)..]];

        // What has a length is stepped over, so its depth does no harm.
        if (readable) Assert.NotNull(ImageDecoder.Decode(ImageSource.FromBytes(whole)));
        else DicomTests.AssertSays("more than 32 deep", () => ImageDecoder.Decode(ImageSource.FromBytes(whole)));
    }

    [Theory]
    [InlineData(0x0028_0100u, 32, "32 bits for a sample")]
    [InlineData(0x0028_0101u, 17, "17 bits up to bit 15 of 16")]
    [InlineData(0x0028_0010u, 0, "4 x 0 pixels")]
    public void Senseless_pixel_modules_are_refused(uint tag, int value, string says) =>
        DicomTests.AssertSays(says, () => DicomTests.Decode(DicomWriter.Grey(4, 1, [1, 2, 3, 4]).Short(tag, value)));

    [Fact]
    public void Missing_attributes_are_named()
    {
        DicomTests.AssertSays("(0028,0010) Rows is missing", () => DicomTests.Decode(DicomWriter.Grey(1, 1, [1]).Without(0x0028_0010)));
        DicomTests.AssertSays("it holds no pixels", () => DicomTests.Decode(DicomWriter.Grey(1, 1, [1]).Without(0x7FE0_0010)));
        DicomTests.AssertSays("has no window of its own", () => DicomTests.Decode(DicomWriter.Grey(1, 1, [1]), window: "file"));
        DicomTests.AssertSays("number of frames", () => DicomTests.Decode(DicomWriter.Grey(1, 1, [1]).Text(0x0028_0008, "IS", "0")));
        DicomTests.AssertSays("(0028,1050) of the DICOM file is not a number", () => DicomTests.Decode(DicomWriter.Grey(1, 1, [1]).Text(0x0028_1050, "DS", "wide").Number(0x0028_1051, 1)));
    }

    [Fact]
    public void Frames_and_windows_are_for_files_that_have_them()
    {
        ImageSource picture = ImageSource.FromFile(Testing.Goldens.Path("images/one_1x1.png"));
        DicomTests.AssertSays("only DICOM and TIFF files have frames", () => ImageDecoder.Decode(picture with { Frame = 2 }));
        DicomTests.AssertSays("window 'lung' was asked for", () => ImageDecoder.Decode(picture, window: GreyWindow.Parse("lung")));
        DicomTests.AssertSays("expected ct, ct-serving, full", () => GreyWindow.Parse("lungs"));
        DicomTests.AssertSays("window '40/0'", () => GreyWindow.Parse("40/0"));
        Assert.Equal(GreyWindow.Parse("40/400"), GreyWindow.Parse("40/400"));
    }

    [Fact]
    public void Nothing_of_the_patient_is_ever_part_of_a_complaint()
    {
        // The name stands where every text may stand, and the file is cut and damaged everywhere.
        const string secret = "DOE^JANE";
        DicomWriter writer = DicomWriter.Grey(2, 2, [1, 2, 3, 4], secret).Text(0x0010_0010, "PN", secret).Text(0x0010_0020, "LO", secret);
        foreach (uint tag in (uint[])[0x0008_0016, 0x0028_0004, 0x0028_0008, 0x0028_1050, 0x0028_1051, 0x0028_1052, 0x0028_1053]) writer.Text(tag, "LO", secret);
        writer.TransferSyntax = secret;
        HashSet<string> messages = [];
        foreach (byte[] whole in (byte[][])[writer.File(), Repaired(writer).File()])
        {
            for (int at = 128; at < whole.Length; at++)
            {
                Try(whole[..at], messages);
                byte[] damaged = [.. whole];
                damaged[at] ^= 0x20;
                Try(damaged, messages);
            }
        }

        Assert.True(messages.Count > 10, string.Join('\n', messages));
        Assert.DoesNotContain(messages, message => message.Contains("DOE", StringComparison.OrdinalIgnoreCase) || message.Contains("JANE", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public void Damaged_files_raise_nothing_but_input_errors()
    {
        FuzzCount count = DicomFuzz.Run(20_000, seed: 2026);
        Assert.Equal(20_000, count.Inputs);
        Assert.InRange(count.Accepted, 1_000, 19_000);
    }

    private static DicomWriter Repaired(DicomWriter writer)
    {
        writer.TransferSyntax = "1.2.840.10008.1.2.1";
        return writer.Text(0x0028_0004, "CS", "MONOCHROME2").Without(0x0028_0008);
    }

    private static void Try(byte[] file, HashSet<string> messages)
    {
        try
        {
            ImageDecoder.Decode(ImageSource.FromBytes(file));
        }
        catch (InputException refusal)
        {
            messages.Add(refusal.Message);
        }
    }
}
