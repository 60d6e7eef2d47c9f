using GemmaCore.Inputs;
using GemmaCore.Inputs.Volumes;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Testing.Fuzz;

/// <summary>Damages NIfTI files, packed and not; only <see cref="InputException"/> may come out, or slices of the promised size.</summary>
public static class NiftiFuzz
{
    private static readonly byte[][] Seeds =
    [
        NiftiWriter.File([2, 3, 2], new short[12], [[-1, 0, 0], [0, -1, 0], [0, 0, 1]]), NiftiWriter.File([2, 3, 2], new short[12], isBig: true, slope: 1),
        NiftiWriter.File([2, 3, 2], new short[12], isSecond: true), NiftiWriter.File([2, 3, 2], new short[12], isPacked: true),
    ];

    /// <summary>Tries <paramref name="iterations"/> damaged files, always the same ones for one <paramref name="seed"/>.</summary>
    public static FuzzCount Run(long iterations, int seed)
    {
        var damage = new ByteDamage(seed);
        long accepted = 0;
        for (long i = 0; i < iterations; i++)
        {
            byte[] file = damage.Damage(Seeds[damage.Random.Next(Seeds.Length)]);
            try
            {
                NiftiVolume volume = NiftiVolume.Read(file, "fuzz", maxPixels: 4096);
                RgbImage image = volume.Show(volume.Count, GreyWindow.Ct);
                if (image.Pixels.Length != 3 * image.Width * image.Height) throw new InvalidOperationException("the slice is not of its size");
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
