using GemmaCore.Inputs.Codecs;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Inputs.Tests.Medical;

public sealed class LosslessJpegTests
{
    private const int MostPixels = 1 << 20;

    [Theory]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(8)]
    [InlineData(12)]
    [InlineData(15)]
    [InlineData(16)]
    public void Every_depth_and_predictor_is_read_with_and_without_restarts(int bits)
    {
        int[] samples = new CodecPicture("", 23, 17, 1, bits, false, bits / 2).Values();
        for (int predictor = 1; predictor <= 7; predictor++)
        {
            foreach (int restartRows in (int[])[0, 1, 3])
            {
                byte[] stream = new LosslessJpegWriter(23, 17, 1, bits, predictor, RestartRows: restartRows).Encode(samples);
                Assert.Equal(samples, Decode(stream).Samples.Select(sample => (int)sample));
            }
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Components_lie_side_by_side_or_in_scans_of_their_own(bool isInterleaved)
    {
        int[] samples = new CodecPicture("", 9, 14, 3, 8, false, 4).Values();
        byte[] stream = new LosslessJpegWriter(9, 14, 3, 8, 4, RestartRows: 5, IsInterleaved: isInterleaved).Encode(samples);
        CodedPicture picture = Decode(stream);
        Assert.Equal((9, 14, 3, 8), (picture.Width, picture.Height, picture.Components, picture.Bits));
        Assert.Equal(samples, picture.Samples.Select(sample => (int)sample));
    }

    [Fact]
    public void A_point_transform_leaves_the_lower_bits_out()
    {
        int[] samples = new CodecPicture("", 11, 7, 1, 12, false, 12).Values();
        Assert.Equal(samples.Select(sample => sample & ~7), Decode(new LosslessJpegWriter(11, 7, 1, 12, 7, Shift: 3).Encode(samples)).Samples.Select(sample => (int)sample));
    }

    [Fact]
    public void Differences_wrap_around_at_16_bits()
    {
        int[] samples = [0, 65_535, 0, 32_768, 0, 65_535, 32_768, 1];
        Assert.Equal(samples, Decode(new LosslessJpegWriter(4, 2, 1, 16, 4).Encode(samples)).Samples.Select(sample => (int)sample));
    }

    [Fact]
    public void A_cut_stream_is_refused_or_lacks_nothing()
    {
        int[] samples = new CodecPicture("", 6, 5, 1, 12, false, 6).Values();
        byte[] stream = new LosslessJpegWriter(6, 5, 1, 12, 6, RestartRows: 2).Encode(samples);
        for (int length = 0; length < stream.Length; length++)
        {
            byte[] cut = stream[..length];
            if (length >= stream.Length - 2) Assert.Equal(samples, Decode(cut).Samples.Select(sample => (int)sample));
            else DicomTests.AssertSays("lossless JPEG", () => Decode(cut));
        }
    }

    [Fact]
    public void Bad_streams_are_refused_with_what_is_wrong()
    {
        int[] samples = new CodecPicture("", 6, 4, 1, 8, false, 3).Values();
        byte[] whole = new LosslessJpegWriter(6, 4, 1, 8, 1, RestartRows: 1).Encode(samples);
        byte[] Changed(byte[] before, byte[] after)
        {
            byte[] changed = [.. whole];
            int at = whole.AsSpan().IndexOf(before);
            Assert.True(at >= 0);
            after.CopyTo(changed, at);
            return changed;
        }

        DicomTests.AssertSays("marker FFC0", () => Decode(Changed([0xFF, 0xC3], [0xFF, 0xC0])));
        DicomTests.AssertSays("samples of 17 bits", () => Decode(Changed([0, 11, 8], [0, 11, 17])));
        DicomTests.AssertSays("6 x 65535 pixels are more than the", () => LosslessJpeg.Decode(Changed([0, 11, 8, 0, 4], [0, 11, 8, 0xFF, 0xFF]), "x.dcm", 1000));
        DicomTests.AssertSays("its height does not stand", () => Decode(Changed([0, 11, 8, 0, 4], [0, 11, 8, 0, 0])));
        DicomTests.AssertSays("predictor 9", () => Decode(Changed([1, 1, 0, 1, 0, 0], [1, 1, 0, 9, 0, 0])));
        DicomTests.AssertSays("point transform", () => Decode(Changed([1, 1, 0, 1, 0, 0], [1, 1, 0, 1, 0, 8])));
        DicomTests.AssertSays("Huffman table is not there", () => Decode(Changed([1, 1, 0, 1, 0, 0], [1, 1, 0x10, 1, 0, 0])));
        DicomTests.AssertSays("scan's component", () => Decode(Changed([1, 1, 0, 1, 0, 0], [1, 2, 0, 1, 0, 0])));
        DicomTests.AssertSays("restart interval of 7", () => Decode(Changed([0xFF, 0xDD, 0, 4, 0, 6], [0xFF, 0xDD, 0, 4, 0, 7])));
        DicomTests.AssertSays("the restart marker before row 3", () => Decode(Changed([0xFF, 0xD1], [0xFF, 0xD2])));
        DicomTests.AssertSays("Huffman tables make no sense", () => Decode(Changed([0xFF, 0xC4, 0, 36, 0, 0, 0, 0], [0xFF, 0xC4, 0, 36, 0, 0, 9, 0])));
    }

    private static CodedPicture Decode(byte[] stream) => LosslessJpeg.Decode(stream, "x.dcm", MostPixels);
}
