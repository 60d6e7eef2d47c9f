using GemmaCore.Inputs.Codecs;

namespace GemmaCore.Inputs.Tests.Medical;

public sealed class JpegLsTests
{
    private const int MostPixels = 1 << 20;

    // T.87, H.3: the standard's own example, samples and every byte of what they become.
    private static readonly byte[] Frame = [0xFF, 0xF7, 0, 11, 8, 0, 4, 0, 4, 1, 1, 0x11, 0], Scan = [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0];

    private static readonly byte[] Coded =
    [
        0xC0, 0, 0, 0x6C, 0x80, 0x20, 0x8E, 1, 0xC0, 0, 0, 0x57, 0x40, 0, 0, 0x6E, 0xE6, 0, 0, 1, 0xBC, 0x18, 0, 0, 5, 0xD8, 0, 0, 0x91, 0x60,
    ];

    private static readonly ushort[] Example = [0, 0, 90, 74, 68, 50, 43, 205, 64, 145, 145, 145, 100, 145, 145, 145];

    [Fact]
    public void The_example_of_the_standard_is_read()
    {
        CodedPicture picture = Decode([.. Frame, .. Scan, .. Coded]);
        Assert.Equal((4, 4, 1, 8), (picture.Width, picture.Height, picture.Components, picture.Bits));
        Assert.Equal(Example, picture.Samples);
    }

    [Fact]
    public void Presets_that_say_what_holds_anyway_change_nothing_and_others_do()
    {
        byte[] usual = [0xFF, 0xF8, 0, 13, 1, 0, 255, 0, 3, 0, 7, 0, 21, 0, 64], zeros = [0xFF, 0xF8, 0, 13, 1, .. new byte[10]], other = [0xFF, 0xF8, 0, 13, 1, 0, 255, 0, 60, 0, 70, 0, 80, 0, 64];
        Assert.Equal(Example, Decode([.. usual, .. Frame, .. Scan, .. Coded]).Samples);
        Assert.Equal(Example, Decode([.. Frame, .. zeros, .. Scan, .. Coded]).Samples);
        Assert.NotEqual(Example, Decode([.. other, .. Frame, .. Scan, .. Coded, .. new byte[16]]).Samples);
    }

    [Theory]
    [InlineData(255, 0, 3, 7, 21)]
    [InlineData(4095, 0, 18, 67, 276)]
    [InlineData(65_535, 0, 18, 67, 276)]
    [InlineData(255, 3, 12, 22, 42)]
    [InlineData(1, 0, 1, 1, 1)]
    [InlineData(15, 0, 2, 3, 4)]
    public void Thresholds_are_those_of_the_standard_where_none_are_written(int maxVal, int near, int t1, int t2, int t3)
    {
        int bits = 32 - int.LeadingZeroCount(maxVal);
        JpegLsParameters parameters = JpegLsParameters.Of(bits, near, [], new CodecComplaint("x", "JPEG-LS"));
        Assert.Equal((maxVal, t1, t2, t3, 64), (parameters.MaxVal, parameters.T1, parameters.T2, parameters.T3, parameters.Reset));
    }

    [Fact]
    public void A_cut_stream_is_refused()
    {
        byte[] whole = [0xFF, 0xD8, .. Frame, .. Scan, .. Coded];
        for (int length = 0; length < whole.Length; length++)
        {
            byte[] cut = whole[..length];
            DicomTests.AssertSays("JPEG-LS", () => JpegLs.Decode(cut, "x.dcm", MostPixels));
        }
    }

    [Fact]
    public void What_is_not_read_is_refused_by_name_and_nonsense_with_what_is_wrong()
    {
        void Says(string words, params byte[] stream) => DicomTests.AssertSays(words, () => Decode(stream));
        Says("it has restart intervals", [.. Frame, 0xFF, 0xDD, 0, 4, 0, 4, .. Scan, .. Coded]);
        Says("tables of values", [.. Frame, 0xFF, 0xF8, 0, 5, 2, 1, 1, .. Scan, .. Coded]);
        Says("tables of values", [.. Frame, 0xFF, 0xDA, 0, 8, 1, 1, 1, 0, 0, 0, .. Coded]);
        Says("point transform", [.. Frame, 0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 1, .. Coded]);
        Says("colours are transformed", [0xFF, 0xE8, 0, 7, .. "mrfx"u8, 1, .. Frame, .. Scan, .. Coded]);
        Says("gdcmconv --raw", [0xFF, 0xE8, 0, 7, .. "mrfx"u8, 1, .. Frame, .. Scan, .. Coded]);
        Says("cannot be mixed in way 1", [.. Frame, 0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 1, 0, .. Coded]);
        Says("a deviation of 200", [.. Frame, 0xFF, 0xDA, 0, 8, 1, 1, 0, 200, 0, 0, .. Coded]);
        Says("presets 3, 2, 21, 64 make no sense", [.. Frame, 0xFF, 0xF8, 0, 13, 1, 0, 255, 0, 3, 0, 2, 0, 21, 0, 64, .. Scan, .. Coded]);
        Says("marker FFC3", [0xFF, 0xC3, .. Frame[2..], .. Scan, .. Coded]);
        Says("a scan comes before the frame", [.. Scan, .. Coded]);
        Says("row 1 of 4 is damaged", [.. Frame, .. Scan, .. new byte[60]]);
        DicomTests.AssertSays("16 x 4 pixels are more than the 40", () => JpegLs.Decode([0xFF, 0xD8, 0xFF, 0xF7, 0, 11, 8, 0, 4, 0, 16, 1, 1, 0x11, 0], "x.dcm", 40));
    }

    private static CodedPicture Decode(byte[] segments) => JpegLs.Decode([0xFF, 0xD8, .. segments, 0xFF, 0xD9], "x.dcm", MostPixels);
}
