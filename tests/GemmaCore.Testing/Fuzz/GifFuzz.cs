using GemmaCore.Inputs;

namespace GemmaCore.Testing.Fuzz;

/// <summary>Damages GIF files, plain, transparent, offset and interlaced; only <see cref="InputException"/> may come out, or a picture of its size.</summary>
public static class GifFuzz
{
    private const long MostPixels = 4096;

    private static readonly byte[][] Seeds = MakeSeeds();

    /// <summary>Tries <paramref name="iterations"/> damaged files, always the same ones for one <paramref name="seed"/>.</summary>
    public static FuzzCount Run(long iterations, int seed)
    {
        var damage = new ByteDamage(seed);
        long accepted = 0;
        for (long i = 0; i < iterations; i++)
        {
            byte[] file = damage.Damage(Seeds[damage.Random.Next(Seeds.Length)], staysInPlace: damage.Random.Next(2) == 0);
            try
            {
                RgbImage image = ImageDecoder.Decode(ImageSource.FromBytes(file), maxPixels: MostPixels);
                if (image.Pixels.Length != 3 * image.Width * image.Height || image.Pixels.Length > 3 * MostPixels) throw new InvalidOperationException("the picture is not of its size");
                accepted++;
            }
            catch (InputException refusal)
            {
                if (refusal.Message.Any(char.IsControl)) throw new InvalidOperationException("the message is more than one line", refusal);
            }
        }

        return new FuzzCount(iterations, accepted);
    }

    // An animation of 40 x 30; the same with its first frame called interlaced; a screen of 3 x 2 with a transparent frame of 2 x 1 at (1, 1).
    private static byte[][] MakeSeeds()
    {
        byte[] whole = File.ReadAllBytes(Goldens.Path("images/frames_40x30.gif")), interlaced = [.. whole];
        int frame = Array.IndexOf(interlaced, (byte)',', 13 + (3 << ((whole[10] & 7) + 1))); // behind the palette
        interlaced[frame + 9] |= 0x40;
        byte[] small =
        [
            .. "GIF89a"u8, 3, 0, 2, 0, 0x80, 0, 0, 10, 20, 30, 40, 50, 60, 0x21, 0xf9, 4, 1, 0, 0, 1, 0, (byte)',', 1, 0, 1, 0, 2, 0, 1, 0, 0, 2, 2, 0x44, 0x0a, 0, (byte)';',
        ];
        return [whole, interlaced, small];
    }
}
