using GemmaCore.Inputs;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Testing.Fuzz;

/// <summary>Damages TIFF files and 16-bit PNG files; only <see cref="InputException"/> may come out, or a picture.</summary>
public static class DeepPictureFuzz
{
    private static readonly byte[][] Seeds =
    [
        DeepPictures.Tiff(5, 5, 16, 1, new byte[50], new byte[50]), DeepPictures.Tiff(5, 5, 8, 1, new byte[25]), DeepPictures.Tiff(4, 3, 32, 3, new byte[48]),
        DeepPictures.Png(9, 9, new ushort[81]), DeepPictures.Png(9, 9, new ushort[81], interlaced: true),
    ];

    /// <summary>Tries <paramref name="iterations"/> damaged files, always the same ones for one <paramref name="seed"/>.</summary>
    public static FuzzCount Run(long iterations, int seed)
    {
        var damage = new ByteDamage(seed);
        long accepted = 0;
        for (long i = 0; i < iterations; i++)
        {
            byte[] file = damage.Damage(Seeds[damage.Random.Next(Seeds.Length)]);
            var source = ImageSource.FromBytes(file) with { Frame = damage.Random.Next(8) == 0 ? 2 : 1, Window = damage.Random.Next(2) == 0 ? GreyWindow.Full : null };
            try
            {
                RgbImage image = ImageDecoder.Decode(source, maxPixels: 4096);
                if (image.Pixels.Length != 3 * image.Width * image.Height) throw new InvalidOperationException("the picture is not of its size");
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
