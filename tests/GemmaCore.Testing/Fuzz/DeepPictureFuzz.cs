using BitMiracle.LibTiff.Classic;
using GemmaCore.Inputs;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Testing.Fuzz;

/// <summary>Damages TIFF files and 16-bit PNG files; only <see cref="InputException"/> may come out, or a picture or part of the size that was asked for.</summary>
public static class DeepPictureFuzz
{
    private const long MostPixels = 4096;

    private static readonly RgbImage Slide = Slides.Picture(36, 21, new PictureRegion(0, 0, 20, 21));

    // Every way of packing that the library unpacks, on pixels that are packed so and on such that are not.
    private static readonly Compression[] Written = [Compression.NONE, Compression.LZW, Compression.PACKBITS, Compression.ADOBE_DEFLATE, Compression.JPEG];
    private static readonly Compression[] Claimed =
        [Compression.CCITTRLE, Compression.CCITTRLEW, Compression.CCITTFAX3, Compression.CCITTFAX4, Compression.LZW, Compression.OJPEG, Compression.JPEG, Compression.PACKBITS, Compression.DEFLATE];

    private static readonly byte[][] TiffSeeds =
    [
        DeepPictures.Tiff(5, 5, 16, 1, new byte[50], new byte[50]), DeepPictures.Tiff(5, 5, 8, 1, new byte[25]), DeepPictures.Tiff(4, 3, 32, 3, new byte[48]),
        .. Written.SelectMany(packing => (byte[][])[Slides.Tiff(16, packing, Slide), Slides.Tiff(0, packing, Slide, Slides.Picture(8, 8))]),
        .. Claimed.SelectMany(packing =>
            (byte[][])[Slides.Claiming((ushort)packing, Slides.Tiff(16, Compression.NONE, Slide)), Slides.Claiming((ushort)packing, DeepPictures.Tiff(8, 8, 1, 1, [.. Enumerable.Range(1, 8).Select(row => (byte)(37 * row))]))]),
    ];

    private static readonly byte[][] BigSeeds =
    [
        .. Written.Where(packing => packing != Compression.JPEG).SelectMany(packing => (byte[][])[Slides.BigTiff(16, packing, Slide), Slides.BigTiff(0, packing, Slide, Slides.Picture(8, 8))]),
    ];

    private static readonly byte[][] Jpeg2000Seeds =
    [
        .. (((ushort, string)[])[(33005, "tile8"), (33003, "ycbcr8")]).Select(tile => Slides.Packed(tile.Item1, Slide, 32, 16, File.ReadAllBytes(Goldens.Path($"codecs/j2k_{tile.Item2}.j2k")))),
    ];

    private static readonly byte[][] SlideSeeds =
    [
        Slides.Described(Slide, "Aperio|AppMag = 20|MPP = 0.5", 0, ResUnit.NONE), Slides.Described(Slide, "", 40_000, ResUnit.CENTIMETER, Slides.Picture(Slide.Width / 2, Slide.Height / 2)),
        Slides.Described(Slide, "AppMag = 20", 0, ResUnit.NONE, Slides.Picture(Slide.Width / 4, Slide.Height / 4)),
    ];

    private static readonly byte[][] PngSeeds = [DeepPictures.Png(9, 9, new ushort[81]), DeepPictures.Png(9, 9, new ushort[81], interlaced: true), DeepPictures.Png(1, 1, [77]), DeepPictures.Png(64, 2, new ushort[128])];

    /// <summary>Tries <paramref name="iterations"/> damaged TIFF files, whole and in parts, always the same ones for one <paramref name="seed"/>.</summary>
    public static FuzzCount Tiff(long iterations, int seed) => Run(iterations, seed, TiffSeeds, pages: 2);

    /// <summary>The same for BigTIFF files.</summary>
    public static FuzzCount BigTiff(long iterations, int seed) => Run(iterations, seed, BigSeeds, pages: 2);

    /// <summary>The same for slides in tiles of JPEG 2000.</summary>
    public static FuzzCount TiffOfJpeg2000(long iterations, int seed) => Run(iterations, seed, Jpeg2000Seeds, pages: 2);

    /// <summary>The same for slides of two levels that say how large they were scanned, at a magnification.</summary>
    public static FuzzCount Magnified(long iterations, int seed) => Run(iterations, seed, SlideSeeds, pages: 2, magnification: 10);

    /// <summary>The same for PNG files of 16 bits.</summary>
    public static FuzzCount Png(long iterations, int seed) => Run(iterations, seed, PngSeeds, pages: 1);

    private static FuzzCount Run(long iterations, int seed, byte[][] seeds, int pages, double? magnification = null)
    {
        var damage = new ByteDamage(seed);
        long accepted = 0;
        for (long i = 0; i < iterations; i++)
        {
            byte[] file = damage.Damage(seeds[damage.Random.Next(seeds.Length)], staysInPlace: damage.Random.Next(2) == 0); // directories are found by their place
            if (pages == 1 && damage.Random.Next(4) > 0) file = DeepPictures.Summed(file);
            var source = ImageSource.FromBytes(file) with { Frame = damage.Random.Next(8) == 0 ? pages : 1, Window = damage.Random.Next(4) == 0 ? GreyWindow.Full : null, Magnification = magnification };
            if (damage.Random.Next(2) == 0) source = source with { Region = new PictureRegion(damage.Random.Next(6), damage.Random.Next(4), damage.Random.Next(1, 20), damage.Random.Next(1, 12)) };
            try
            {
                RgbImage image = ImageDecoder.Decode(source, maxPixels: MostPixels);
                if (image.Pixels.Length != 3 * image.Width * image.Height) throw new InvalidOperationException("the picture is not of its size");
                if (magnification is null && source.Region is { } part && (image.Width, image.Height) != (part.Width, part.Height)) throw new InvalidOperationException("the part is not of the size that was asked for");
                if (magnification is null && source.Region is null && !PictureView.Of(source, MostPixels).Picture.Pixels.AsSpan().SequenceEqual(image.Pixels)) throw new InvalidOperationException("what is seen is not what the model is shown");
                accepted++;
            }
            catch (InputException refusal)
            {
                if (refusal.Message.Any(char.IsControl)) throw new InvalidOperationException("the message is more than one line", refusal);
            }
        }

        return new FuzzCount(iterations, accepted);
    }
}
