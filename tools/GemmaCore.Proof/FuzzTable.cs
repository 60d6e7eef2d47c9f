using System.Diagnostics;
using GemmaCore.Testing.Fuzz;

namespace GemmaCore.Proof;

/// <summary>Runs every fuzzer and counts what came of the damaged inputs.</summary>
internal static class FuzzTable
{
    private static readonly (string Target, Func<long, int, FuzzCount> Run)[] Targets =
    [
        ("safetensors header", SafetensorsFuzz.Run),
        ("adapter_config.json", AdapterConfigFuzz.Run),
        ("tokenizer.json", (inputs, seed) => new FuzzCount(inputs, TokenizerJsonFuzz.Run(inputs, seed).Accepted)),
        ("FLARE questions", (inputs, seed) => new FuzzCount(inputs, FlareJsonFuzz.Run(inputs, seed).Accepted)),
        ("answers, by the rules of `eval`", AnswerFuzz.Run),
        ("DICOM files", DicomFuzz.Run),
        ("lossless JPEG in DICOM", CodecFuzz.LosslessJpeg),
        ("JPEG-LS in DICOM", CodecFuzz.JpegLs),
        ("JPEG 2000 in DICOM", CodecFuzz.Jpeg2000),
        ("NIfTI volumes", NiftiFuzz.Run),
        ("TIFF files, whole and in parts", DeepPictureFuzz.Tiff),
        ("BigTIFF files, whole and in parts", DeepPictureFuzz.BigTiff),
        ("JPEG 2000 in TIFF, whole and in parts", DeepPictureFuzz.TiffOfJpeg2000),
        ("slides at a magnification", DeepPictureFuzz.Magnified),
        ("PNG files of 16 bits", DeepPictureFuzz.Png),
        ("GIF files", GifFuzz.Run),
    ];

    /// <param name="inputs">Of each target.</param>
    /// <param name="seed">Of the damage.</param>
    /// <param name="targets">Part of the names of those that are run; empty for all.</param>
    public static int Print(long inputs, int seed, string targets)
    {
        Circumstances.Print($"tools/fuzz.sh {inputs} {seed} {targets}".TrimEnd());
        Console.WriteLine("| target | inputs | accepted | refused | unhandled | seconds |");
        Console.WriteLine("|---|---:|---:|---:|---:|---:|");
        List<Exception> failures = [];
        foreach ((string target, Func<long, int, FuzzCount> run) in Targets.Where(target => target.Target.Contains(targets, StringComparison.OrdinalIgnoreCase)))
        {
            var clock = Stopwatch.StartNew();
            try
            {
                FuzzCount count = run(inputs, seed);
                Console.WriteLine($"| {target} | {count.Inputs} | {count.Accepted} | {count.Inputs - count.Accepted} | 0 | {clock.Elapsed.TotalSeconds:0} |");
            }
            catch (Exception failure)
            {
                // A fuzzer ends with its first unexpected exception, whatever its type.
                failures.Add(failure);
                Console.WriteLine($"| {target} | ended early | | | 1 | {clock.Elapsed.TotalSeconds:0} |");
            }
        }

        foreach (Exception failure in failures) Console.WriteLine($"\n{failure}");
        return failures.Count == 0 ? 0 : 1;
    }
}
