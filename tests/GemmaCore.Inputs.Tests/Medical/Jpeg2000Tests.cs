using System.Buffers.Binary;
using GemmaCore.Inputs.Codecs;
using GemmaCore.Inputs.Codecs.Jpeg2000;
using GemmaCore.Testing;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Inputs.Tests.Medical;

public sealed class Jpeg2000Tests
{
    private const int MostPixels = 1 << 16;

    [Theory]
    [InlineData("j2k_dot12_1.j2k")]
    [InlineData("j2k_signed12.j2k")]
    [InlineData("j2k_grey8_lossy.j2k")]
    [InlineData("jp2_colour8.jp2")]
    public void A_cut_stream_is_refused_and_only_the_end_marker_may_be_missing(string file)
    {
        byte[] whole = Golden(file);
        ushort[] samples = Decode(whole).Samples;
        for (int length = 0; length < whole.Length; length++)
        {
            byte[] cut = whole[..length];
            if (length >= whole.Length - 2 && file.StartsWith("j2k", StringComparison.Ordinal) && length != whole.Length - 1) Assert.Equal(samples, Decode(cut).Samples);
            else if (length != whole.Length - 1) DicomTests.AssertSays("JPEG 2000", () => Decode(cut));
        }
    }

    [Fact]
    public void What_is_not_read_is_refused_by_name_and_nonsense_with_what_is_wrong()
    {
        byte[] whole = Golden("j2k_colour8.j2k");
        byte[] Changed(int marker, int offset, params byte[] bytes)
        {
            byte[] changed = [.. whole];
            int at = whole.AsSpan().IndexOf((byte[])[0xFF, (byte)marker]);
            Assert.True(at >= 0);
            bytes.CopyTo(changed, at + 2 + offset);
            return changed;
        }

        void Says(string words, byte[] stream) => DicomTests.AssertSays(words, () => Decode(stream));
        Says("High-Throughput", Changed(0x51, 2, 0x40));
        Says("High-Throughput", Changed(0x52, 10, 64));
        Says("gdcmconv --raw", Changed(0x52, 10, 64));
        Says("has samples of 17 bits", Changed(0x51, 38, 16));
        Says("different depths", Changed(0x51, 41, 11));
        Says("a component has no samples", Changed(0x51, 39, 0));
        Says("31 x 65535 pixels are more than the", Changed(0x51, 8, 0, 0, 0xFF, 0xFF));
        Says("tiles do not cover it", Changed(0x51, 20, 0, 0, 0, 0));
        Says("more tiles than there are numbers", Changed(0x51, 4, [0, 0, 1, 0, 0, 0, 1, 0, .. new byte[8], 0, 0, 0, 1, 0, 0, 0, 1]));
        Says("mixed in a way of its own", Changed(0x52, 6, 2));
        Says("code blocks are too large", Changed(0x52, 8, 8, 8));
        Says("33 levels", Changed(0x52, 7, 33));
        Says("no sensible order", Changed(0x52, 3, 5));
        Says("quantisation does not go with its wavelets", Changed(0x52, 11, 0));
        Says("the quantisation of a subband is missing", Changed(0x52, 7, 9));
        Says("packed together", Changed(0x64, -1, 0x60));
        Says("a tile is not there", Changed(0x90, 2, 0, 1));
        Says("damaged or cut off", Changed(0x90, 4, 0, 1, 0, 0));
        Says("does not begin with a codestream", [0xFF, 0xD8, 0xFF, 0xC3]);
    }

    [Fact]
    public void Layers_and_changes_of_order_cannot_make_endless_work_of_a_few_bytes()
    {
        // 65535 layers need as many packets, a byte each.
        byte[] layers = Golden("j2k_colour8.j2k");
        int at = layers.AsSpan().IndexOf((byte[])[0xFF, 0x52]);
        layers[at + 6] = layers[at + 7] = 0xFF;
        DicomTests.AssertSays("cut off", () => Decode(layers));

        // Packets that an order leaves out never come; those that it names again have come.
        byte[] changes = Golden("j2k_colour8_changes.j2k");
        ushort[] samples = Decode(changes).Samples;
        const int length = 7;
        at = changes.AsSpan().IndexOf((byte[])[0xFF, 0x5F]) + 4;
        Assert.Equal((2, 2), (changes[at + 4], changes[at + length]));
        changes[at + length] = 0;
        Assert.Equal(samples, Decode(changes).Samples);
        changes[at + 4] = 1;
        changes[at + length] = 2;
        DicomTests.AssertSays("the order of its packets leaves some out", () => Decode(changes));
    }

    [Theory]
    [InlineData(0x52)]
    [InlineData(0x5C)]
    public void What_a_header_says_of_one_component_holds_against_what_it_says_of_all_and_a_tile_against_both(byte marker)
    {
        byte[] whole = Golden("j2k_colour8.j2k");
        ushort[] samples = Decode(whole).Samples;
        int at = whole.AsSpan().IndexOf((byte[])[0xFF, marker]), length = 2 + whole[at + 3];
        byte[] segment = whole[at..(at + length)], wrong = [.. segment];
        // Another number of levels, or of guard bits, and the picture is another or none.
        wrong[marker == 0x52 ? 9 : 4] ^= marker == 0x52 ? (byte)1 : (byte)0x20;
        byte[] spoilt = [.. whole[..at], .. wrong, .. whole[(at + length)..]];
        Assert.False(Holds(spoilt));

        // COC and QCC: the component, then the same without what holds for all components.
        byte[] own = marker == 0x52 ? [segment[4], .. segment[9..]] : segment[4..];
        byte[] each = [.. Enumerable.Range(0, 3).SelectMany(i => (byte[])[0xFF, (byte)(marker + 1), 0, (byte)(own.Length + 3), (byte)i, .. own])];
        Assert.True(Holds([.. spoilt[..at], .. each, .. spoilt[at..]]));
        Assert.True(Holds([.. spoilt[..(at + length)], .. each, .. spoilt[(at + length)..]]));

        // In the tile's header, whose length then is another.
        byte[] InTile(byte[] main, byte[] added)
        {
            int tile = main.AsSpan().IndexOf((byte[])[0xFF, 0x90]);
            byte[] changed = [.. main[..(tile + 12)], .. added, .. main[(tile + 12)..]];
            BinaryPrimitives.WriteInt32BigEndian(changed.AsSpan(tile + 6), BinaryPrimitives.ReadInt32BigEndian(main.AsSpan(tile + 6)) + added.Length);
            return changed;
        }

        Assert.True(Holds(InTile(spoilt, segment)));
        Assert.True(Holds(InTile(spoilt, each)));
        byte[] spoiltEach = [.. Enumerable.Range(0, 3).SelectMany(i => (byte[])[0xFF, (byte)(marker + 1), 0, (byte)(own.Length + 3), (byte)i, .. marker == 0x52 ? [wrong[4], .. wrong[9..]] : wrong[4..]])];
        Assert.True(Holds(InTile([.. spoilt[..at], .. spoiltEach, .. spoilt[at..]], segment)));
        Assert.False(Holds(InTile(whole, spoiltEach)));

        bool Holds(byte[] stream)
        {
            try
            {
                return Decode(stream).Samples.AsSpan().SequenceEqual(samples);
            }
            catch (InputException)
            {
                return false;
            }
        }
    }

    [Theory]
    [InlineData("1.2.840.10008.1.2.4.90", "YBR_RCT", "j2k_colour8.j2k")]
    [InlineData("1.2.840.10008.1.2.4.91", "YBR_ICT", "j2k_colour8_irreversible.j2k")]
    [InlineData("1.2.840.10008.1.2.4.90", "RGB", "j2k_colour8_unmixed.j2k")]
    public void Colours_of_a_dicom_file_are_what_the_codestream_makes_of_them(string syntax, string photometric, string file)
    {
        CodecPicture picture = CodecPicture.Find("colour8");
        DicomWriter writer = Packed(picture, syntax, file).Text(0x0028_0004, "CS", photometric).Short(0x0028_0006, 1);
        byte[] pixels = DicomTests.Decode(writer).Pixels;
        int most = photometric == "YBR_ICT" ? 3 : 0;
        Assert.All(picture.Bytes().Zip(pixels), pair => Assert.InRange(Math.Abs(pair.First - pair.Second), 0, most));

        writer.TransferSyntax = "1.2.840.10008.1.2.4.80";
        if (photometric != "RGB") DicomTests.AssertSays("photometric interpretation", () => DicomTests.Decode(writer));
        else DicomTests.AssertSays("the JPEG-LS picture is damaged: it does not begin with a start of image", () => DicomTests.Decode(writer));
    }

    [Fact]
    public void Frames_may_be_cut_into_fragments_and_have_to_be_what_the_file_says()
    {
        CodecPicture picture = CodecPicture.Find("grey8");
        byte[] stream = Golden("j2k_grey8.j2k");
        DicomWriter writer = Packed(picture, "1.2.840.10008.1.2.4.90", "j2k_grey8.j2k").Fragments([], stream[..100], stream[100..]);
        Assert.Equal(picture.Bytes(), DicomTests.Decode(writer).Pixels.Where((_, i) => i % 3 == 0));
        DicomTests.AssertSays("37 x 29 pixels are more than the 1036 allowed", () => DicomTests.Decode(writer.Short(0x0028_0011, 37).Short(0x0028_0010, 28)));
        DicomTests.AssertSays("frame 1 is 37 x 29 with 1 samples, and the file says 40 x 29 with 1", () => DicomTests.Decode(writer.Short(0x0028_0010, 29).Short(0x0028_0011, 40)));
    }

    [Fact]
    public void A_scale_over_all_frames_unpacks_no_more_than_eight_of_the_largest_pictures()
    {
        byte[] stream = Golden("j2k_grey8.j2k");
        DicomWriter writer = Packed(CodecPicture.Find("grey8"), "1.2.840.10008.1.2.4.90", "j2k_grey8.j2k").Text(0x0008_0060, "CS", "MR").Text(0x0028_0008, "IS", "9");
        ImageSource source = ImageSource.FromBytes(writer.Fragments([], [.. Enumerable.Repeat(stream, 9)]).File());
        Assert.Equal(37, ImageDecoder.Decode(source, maxPixels: 37 * 29 * 2).Width);
        DicomTests.AssertSays("its grey depends on all 9 frames", () => ImageDecoder.Decode(source, maxPixels: 37 * 29));
    }

    private static DicomWriter Packed(CodecPicture picture, string syntax, string file)
    {
        DicomWriter writer = picture.Dicom();
        writer.TransferSyntax = syntax;
        return writer.Fragments([], Golden(file));
    }

    private static byte[] Golden(string file) => File.ReadAllBytes(Goldens.Path("codecs/" + file));

    private static CodedPicture Decode(byte[] stream) => Jpeg2000Picture.Decode(stream, "x.dcm", MostPixels);
}
