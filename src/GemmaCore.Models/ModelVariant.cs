namespace GemmaCore.Models;

/// <summary>How a model is loaded where that is not as its files say.</summary>
/// <param name="Format">How linear layers hold their weights.</param>
/// <param name="Tables">How embeddings and head are held: as stored, or in rows of 8 bits.</param>
/// <param name="ImageTokens">Tokens a picture becomes; 0 for as many as the configuration says.</param>
public sealed record ModelVariant(WeightFormat Format = WeightFormat.AsStored, WeightFormat Tables = WeightFormat.AsStored, int ImageTokens = 0)
{
    /// <summary>The most tokens, at most <paramref name="asked"/>, that pooling whole windows can make of a picture.</summary>
    /// <param name="patchesPerSide">Patches of the vision tower along a side.</param>
    /// <param name="asked">Tokens that were asked for, at least 1.</param>
    public static int PossibleImageTokens(int patchesPerSide, int asked) =>
        Enumerable.Range(1, patchesPerSide).Where(side => patchesPerSide % side == 0 && (long)side * side <= asked).Select(side => side * side).Max();
}
