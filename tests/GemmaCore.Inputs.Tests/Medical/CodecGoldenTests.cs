using System.Security.Cryptography;
using GemmaCore.Inputs.Codecs.Jpeg2000;
using GemmaCore.Inputs.Dicom;
using GemmaCore.Testing;
using GemmaCore.Testing.Fuzz;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Inputs.Tests.Medical;

/// <summary>Files of other people's encoders (tools/codec_goldens.sh), held against the formula that made the picture and against the sum of their decoders' samples.</summary>
public sealed class CodecGoldenTests
{
    public static TheoryData<string, string, int, string> Files { get; } = Read();

    [Theory]
    [MemberData(nameof(Files))]
    public void Samples_are_those_of_the_reference_decoder(string file, string pictureName, int deviation, string sum)
    {
        CodecPicture picture = CodecPicture.Find(pictureName);
        int[] expected = picture.Values(), decoded = Decode(Goldens.Path("codecs/" + file), picture.IsSigned);

        Assert.Equal(expected.Length, decoded.Length);
        for (int i = 0; i < expected.Length; i++) Assert.True(Math.Abs(expected[i] - decoded[i]) <= deviation, $"sample {i} is {decoded[i]}, and {expected[i]} was packed");
        byte[] bytes = Bytes(picture, decoded);
        if (sum != "-") Assert.Equal(sum, Convert.ToHexStringLower(SHA256.HashData(bytes)));
        if (!File.Exists(Goldens.Path($"codecs/{file}.samples"))) return;
        int[] reference = Numbers(picture, File.ReadAllBytes(Goldens.Path($"codecs/{file}.samples")));
        // Fractions of 9/7 wavelets are rounded once, and may lie on either side.
        for (int i = 0; i < reference.Length; i++) Assert.True(Math.Abs(reference[i] - decoded[i]) <= 1, $"sample {i} is {decoded[i]}, and the reference decoder's {reference[i]}");
    }

    [Fact]
    public void No_golden_is_without_a_line_and_every_codec_has_some()
    {
        string[] listed = [.. Files.Select(row => row.Data.Item1)];
        IEnumerable<string> files = Directory.GetFiles(Goldens.Path("codecs")).Select(path => Path.GetFileName(path)).Where(file => Path.GetExtension(file) is not (".samples" or ".txt"));
        Assert.Equal(files.Order(StringComparer.Ordinal), listed.Order(StringComparer.Ordinal));
        foreach (string codec in (string[])["jpeg57", "jpeg70", "ls", "near2", "j2k", "jp2"]) Assert.Contains(listed, file => file.StartsWith(codec, StringComparison.Ordinal));
    }

    [Fact]
    public void Damaged_streams_raise_nothing_but_input_errors()
    {
        foreach (Func<long, int, FuzzCount> run in (Func<long, int, FuzzCount>[])[CodecFuzz.LosslessJpeg, CodecFuzz.JpegLs, CodecFuzz.Jpeg2000])
        {
            FuzzCount count = run(4_000, 2026);
            Assert.Equal(4_000, count.Inputs);
            Assert.InRange(count.Accepted, 50, 3_800);
        }
    }

    private static byte[] Bytes(CodecPicture picture, int[] samples) =>
        picture.Bits <= 8 ? [.. samples.Select(value => (byte)value)] : [.. samples.SelectMany(value => BitConverter.GetBytes((short)value))];

    private static int[] Numbers(CodecPicture picture, byte[] bytes) =>
        picture.Bits <= 8 ? [.. bytes.Select(value => (int)value)] : [.. Enumerable.Range(0, bytes.Length / 2).Select(i => (int)BitConverter.ToUInt16(bytes, 2 * i))];

    private static int[] Decode(string path, bool isSigned)
    {
        if (!path.EndsWith(".dcm", StringComparison.Ordinal)) return [.. Jpeg2000Picture.Decode(File.ReadAllBytes(path), path, 1 << 16).Samples.Select(sample => isSigned ? (short)sample : (int)sample)];
        DicomFile file = DicomFile.Read(File.ReadAllBytes(path), path);
        DicomImage image = DicomImage.Read(file);
        var pixels = new DicomPixels(file, image);
        return image.IsGrey ? pixels.Stored(0) : [.. pixels.Colours(0).Pixels.Select(value => (int)value)];
    }

    private static TheoryData<string, string, int, string> Read()
    {
        var files = new TheoryData<string, string, int, string>();
        foreach (string line in File.ReadLines(Goldens.Path("codecs/expected.txt")))
            if (line.Split(' ') is [var file, var picture, var deviation, var sum]) files.Add(file, picture, int.Parse(deviation), sum);
        return files;
    }
}
