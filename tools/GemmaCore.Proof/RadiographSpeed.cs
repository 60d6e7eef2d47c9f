using System.Diagnostics;
using GemmaCore.Inputs.Codecs.Jpeg2000;
using GemmaCore.Inputs.Dicom;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Proof;

/// <summary>Unpacks a radiograph from every packing in a folder that tools/codec_speed.sh has made, each verified sample by sample before it is timed. One thread.</summary>
internal static class RadiographSpeed
{
    private const int WarmUps = 5, Runs = 15;

    public static int Print(string folder)
    {
        CodecPicture picture = CodecPicture.Radiograph;
        int[] expected = picture.Values();
        Console.WriteLine($"\n| radiograph {picture.Width} x {picture.Height}, {picture.Bits} bits | bytes | min ms | median | max | megapixels/s |\n|---|---:|---:|---:|---:|---:|");
        foreach (string path in Directory.GetFiles(folder, "radiograph*").Order(StringComparer.Ordinal).Where(path => Path.GetExtension(path) is ".dcm" or ".j2k"))
        {
            byte[] bytes = File.ReadAllBytes(path);
            Action decode = path.EndsWith(".dcm", StringComparison.Ordinal) ? () => Stored(bytes, path) : () => Jpeg2000Picture.Decode(bytes, path, picture.Width * picture.Height);
            int[] samples = path.EndsWith(".dcm", StringComparison.Ordinal) ? Stored(bytes, path) : [.. Jpeg2000Picture.Decode(bytes, path, picture.Width * picture.Height).Samples.Select(sample => (int)sample)];
            if (!samples.AsSpan().SequenceEqual(expected))
            {
                Console.Error.WriteLine($"{path}: not the samples that were packed; not timed");
                return 1;
            }

            for (int i = 0; i < WarmUps; i++) decode();
            var times = new List<double>();
            for (int i = 0; i < Runs; i++)
            {
                long start = Stopwatch.GetTimestamp();
                decode();
                times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }

            times.Sort();
            double median = times[Runs / 2];
            Console.WriteLine($"| {Path.GetFileName(path)} | {bytes.Length} | {times[0]:F0} | {median:F0} | {times[^1]:F0} | {picture.Width * picture.Height / median / 1e3:F1} |");
        }

        return 0;
    }

    private static int[] Stored(byte[] bytes, string path)
    {
        DicomFile file = DicomFile.Read(bytes, path);
        return new DicomPixels(file, DicomImage.Read(file)).Stored(0);
    }
}
