using GemmaCore.Testing.Fuzz;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Inputs.Tests.Medical;

public sealed class DeepPictureTests
{
    private static readonly ushort[] Values = [.. Enumerable.Range(0, 13 * 11).Select(i => (ushort)(i * 25))];

    private static readonly byte[] Bytes = [.. Values.SelectMany(BitConverter.GetBytes)];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_16_bit_png_keeps_all_its_bits_for_a_window(bool interlaced)
    {
        byte[] file = DeepPictures.Png(13, 11, Values, interlaced);
        // 25 i of 0..3550: i / 142 of white
        AssertGreys(i => (byte)Math.Round(i / 142.0 * 255, MidpointRounding.ToEven), Decode(file, "full"));
        AssertGreys(i => (byte)Math.Clamp(Math.Round(255.0 / 400 * (25 * i - 1800), MidpointRounding.ToEven), 0, 255), Decode(file, "2000/400"));
        AssertGreys(i => (byte)(25 * i >> 8), Decode(file, null));
    }

    [Fact]
    public void A_16_bit_tiff_is_read_page_by_page_with_and_without_a_window()
    {
        byte[] file = DeepPictures.Tiff(13, 11, 16, 1, new byte[Bytes.Length], Bytes);
        AssertGreys(_ => 0, Decode(file, null));
        AssertGreys(i => (byte)(25 * i >> 8), Decode(file, null, 2));
        AssertGreys(i => (byte)Math.Round(i / 142.0 * 255, MidpointRounding.ToEven), Decode(file, "full", 2));
        Assert.Equal((13, 11), ImageDecoder.ReadSize(ImageSource.FromBytes(file) with { Frame = 2 }));
        DicomTests.AssertSays("no page 3", () => Decode(file, null, 3));
    }

    [Fact]
    public void Signed_and_floating_tiffs_need_a_window_and_8_bit_ones_have_none()
    {
        byte[] signed = DeepPictures.Tiff(2, 1, 16, 2, [0x18, 0xFC, 0xE8, 3]); // -1000, 1000
        byte[] floating = DeepPictures.Tiff(2, 1, 32, 3, [.. BitConverter.GetBytes(-0.5f), .. BitConverter.GetBytes(0.5f)]);
        byte[] small = DeepPictures.Tiff(2, 1, 8, 1, [7, 200]);
        Assert.Equal(new byte[] { 0, 0, 0, 255, 255, 255 }, Decode(signed, "0/2000").Pixels);
        Assert.Equal(new byte[] { 0, 0, 0, 255, 255, 255 }, Decode(floating, "full").Pixels);
        Assert.Equal(new byte[] { 7, 7, 7, 200, 200, 200 }, Decode(small, null).Pixels);
        DicomTests.AssertSays("--window full", () => Decode(signed, null));
        DicomTests.AssertSays("--window full", () => Decode(floating, null));
        DicomTests.AssertSays("leave the window out", () => Decode(small, "full"));
    }

    [Fact]
    public void Cut_and_oversized_files_are_refused()
    {
        foreach (byte[] whole in (byte[][])[DeepPictures.Png(13, 11, Values), DeepPictures.Tiff(13, 11, 16, 1, Bytes)])
        {
            for (int length = 0; length < whole.Length - 40; length += 7)
                Assert.Throws<InputException>(() => Decode(whole[..length], "full"));
            byte[] huge = [.. whole];
            huge.AsSpan(16, 8).Fill(0xFF); // width and height of PNG, whose product is more than 63 bits
            Assert.Throws<InputException>(() => Decode(huge, "full"));
            DicomTests.AssertSays("13 x 11 pixels are more than the 100 allowed", () => ImageDecoder.Decode(ImageSource.FromBytes(whole), maxPixels: 100, window: GreyWindow.Full));
        }
    }

    [Fact]
    public void A_tiff_file_that_claims_thousands_of_samples_is_refused_before_room_is_made_for_them()
    {
        byte[] file = DeepPictures.Tiff(4, 4, 16, 1, new byte[32]);
        const int samples = 10 + 6 * 12; // the seventh entry of the first directory
        Assert.Equal(277, BitConverter.ToInt16(file, samples));
        BitConverter.TryWriteBytes(file.AsSpan(samples + 8), (short)9000);
        Assert.Contains("claims 9000 samples of 16 bits", Assert.Throws<InputException>(() => ImageDecoder.Decode(ImageSource.FromBytes(file))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Damaged_files_raise_nothing_but_input_errors()
    {
        Assert.InRange(DeepPictureFuzz.Tiff(20_000, seed: 2026).Accepted, 1_000, 19_000);
        Assert.InRange(DeepPictureFuzz.Png(10_000, seed: 2026).Accepted, 500, 9_500);
        Assert.InRange(DeepPictureFuzz.Magnified(10_000, seed: 2026).Accepted, 500, 9_500);
    }

    private static RgbImage Decode(byte[] file, string? window, int page = 1) =>
        ImageDecoder.Decode(ImageSource.FromBytes(file) with { Frame = page, Window = window is null ? null : GreyWindow.Parse(window) });

    private static void AssertGreys(Func<int, byte> expected, RgbImage image)
    {
        Assert.Equal((13, 11), (image.Width, image.Height));
        Assert.Equal(Enumerable.Range(0, Values.Length).SelectMany(i => Enumerable.Repeat(expected(i), 3)), image.Pixels);
    }
}
