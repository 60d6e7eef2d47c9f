using GemmaCore.Inputs;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Testing.Fuzz;

/// <summary>Damages DICOM files of every kind that is read; only <see cref="InputException"/> may come out, or a picture of the size that the header said.</summary>
public static class DicomFuzz
{
    private const long MostPixels = 4096;

    private static readonly GreyWindow?[] Windows = [null, null, GreyWindow.Full, GreyWindow.Parse("lung"), GreyWindow.OfFile, GreyWindow.Parse("file:2"), GreyWindow.Table];

    private static readonly byte[][] Seeds =
    [
        DicomWriter.Grey(4, 3, Enumerable.Range(0, 12), "CT").Number(0x0028_1052, -1024).Number(0x0028_1053, 1).File(),
        DicomWriter.Grey(4, 3, Enumerable.Range(0, 24), "MR", isImplicit: true).Text(0x0028_0008, "IS", "2").File(),
        Grouped(SequenceLengths.Given, false), Grouped(SequenceLengths.Undefined, false), Grouped(SequenceLengths.Undefined, true),
        new DicomWriter().Shape(4, 2, 3, "YBR_FULL_422", 8).Pixels(new byte[16]).File(),
        new DicomWriter().Shape(2, 2, 3, "RGB", 8).Short(0x0028_0006, 1).Pixels(new byte[12]).File(),
        Palette().File(), Tables(false), Tables(true),
        new DicomWriter { TransferSyntax = "1.2.840.10008.1.2.5" }.Shape(4, 1, 1, "MONOCHROME1", 8).Text(0x0028_0008, "IS", "2").Fragments([0, 74], Runs(), Runs()).File(),
        Bare(),
    ];

    /// <summary>Tries <paramref name="iterations"/> damaged files, always the same ones for one <paramref name="seed"/>.</summary>
    public static FuzzCount Run(long iterations, int seed) => Run(iterations, seed, [.. Seeds.Select(file => (file, 0))]);

    /// <summary>The same with other files; of most only what lies behind a place is damaged, byte by byte, so that the damage reaches what the head leads to.</summary>
    internal static FuzzCount Run(long iterations, int seed, (byte[] File, int From)[] seeds)
    {
        var damage = new ByteDamage(seed);
        long accepted = 0;
        for (long i = 0; i < iterations; i++)
        {
            (byte[] file, int from) = seeds[damage.Random.Next(seeds.Length)];
            file = from > 0 && damage.Random.Next(8) > 0 ? [.. file[..from], .. damage.Damage(file[from..], staysInPlace: true)] : damage.Damage(file);
            var source = ImageSource.FromBytes(file) with { Frame = damage.Random.Next(8) == 0 ? 2 : 1, Window = Windows[damage.Random.Next(Windows.Length)] };
            try
            {
                RgbImage image = ImageDecoder.Decode(source, maxPixels: MostPixels);
                if (image.Pixels.Length != 3 * image.Width * image.Height || (image.Width, image.Height) != ImageDecoder.ReadSize(source))
                    throw new InvalidOperationException("the picture is not of the size that the header says");
                if (!PictureView.Of(source, MostPixels).Picture.Pixels.AsSpan().SequenceEqual(image.Pixels)) throw new InvalidOperationException("what is seen is not what the model is shown");
                accepted++;
            }
            catch (InputException refusal)
            {
                if (refusal.Message.Any(char.IsControl)) throw new InvalidOperationException("the message is more than one line", refusal);
            }
        }

        return new FuzzCount(iterations, accepted);
    }

    private static byte[] Grouped(SequenceLengths lengths, bool isImplicit)
    {
        DicomWriter Item() => new(isImplicit, lengths);
        DicomWriter window = Item().Sequence(0x0028_9132, Item().Number(0x0028_1050, 40).Number(0x0028_1051, 80));
        return Item().Text(0x0008_0060, "CS", "DX").Shape(2, 2, 1, "MONOCHROME2", 16).Text(0x0028_0008, "IS", "2")
            .Sequence(0x0028_3000, Item().Short(0x0028_3002, 2, 0, 16).Short(0x0028_3006, 5, 9))
            .Sequence(0x5200_9230, window, window).Pixels(new byte[16], "OW").File();
    }

    private static byte[] Tables(bool isImplicit) => DicomWriter.Grey(2, 2, [-1, 0, 1, 2], "DX", isSigned: true, isImplicit: isImplicit)
        .Sequence(0x0028_3010, new DicomWriter(isImplicit).Element(0x0028_3002, "SS", [3, 0, 0xFF, 0xFF, 8, 0]).Element(0x0028_3006, "OW", [10, 20, 30, 0])).File();

    private static DicomWriter Palette()
    {
        DicomWriter writer = new DicomWriter().Shape(4, 1, 1, "PALETTE COLOR", 8).Pixels([0, 1, 2, 3]);
        for (uint colour = 0; colour < 3; colour++) writer.Short(0x0028_1101 + colour, 2, 0, 16).Short(0x0028_1201 + colour, 0x1000, 0xFF00);
        return writer;
    }

    private static byte[] Runs() => [1, 0, 0, 0, 64, .. new byte[59], 0xFD, 9];

    private static byte[] Bare()
    {
        DicomWriter writer = DicomWriter.Grey(2, 2, [1, 2, 3, 4], "CR");
        writer.HasPreamble = writer.HasMeta = false;
        return writer.File();
    }
}
