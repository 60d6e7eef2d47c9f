namespace GemmaCore.Models;

/// <summary>How a model is loaded where that is not as its files say.</summary>
/// <param name="Format">How linear layers hold their weights.</param>
/// <param name="Tables">How embeddings and head are held: as stored, or in rows of 8 bits.</param>
/// <param name="ImageTokens">Tokens a picture becomes; 0 for as many as the configuration says.</param>
public sealed record ModelVariant(WeightFormat Format = WeightFormat.AsStored, WeightFormat Tables = WeightFormat.AsStored, int ImageTokens = 0)
{
    /// <summary>
    /// True when pooling makes so many tokens of a picture. Stock Gemma 3 pools with windows of ⌊patches / ⌊√tokens⌋⌋ and leaves a remainder at the right and lower
    /// edge out: of 64 x 64 patches 144 tokens come from 60 x 60 of them, and what is asked for as 128 would be 144.
    /// </summary>
    /// <param name="patchesPerSide">Patches of the vision tower along a side.</param>
    /// <param name="tokens">Tokens of a picture.</param>
    public static bool CanPool(int patchesPerSide, int tokens)
    {
        int side = (int)Math.Sqrt(Math.Max(0, tokens));
        return side >= 1 && side <= patchesPerSide && side * side == tokens && patchesPerSide / (patchesPerSide / side) == side;
    }

    /// <summary>What was asked for, if it <see cref="CanPool">can be</see>; otherwise the most tokens below that pooling whole windows, without a remainder, makes of a picture.</summary>
    /// <param name="patchesPerSide">Patches of the vision tower along a side.</param>
    /// <param name="asked">Tokens that were asked for, at least 1.</param>
    public static int PossibleImageTokens(int patchesPerSide, int asked) => CanPool(patchesPerSide, asked)
        ? asked
        : Enumerable.Range(1, patchesPerSide).Where(side => patchesPerSide % side == 0 && (long)side * side <= asked).Select(side => side * side).Max();
}
