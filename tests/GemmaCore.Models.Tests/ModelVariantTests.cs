namespace GemmaCore.Models.Tests;

public sealed class ModelVariantTests
{
    // The table of gemma3.md §8, and what issue and users ask for: stock Gemma 3 makes ⌊P / ⌊P / ⌊√tokens⌋⌋⌋² tokens.
    [Theory]
    [InlineData(64, 256, true)]
    [InlineData(64, 64, true)]
    [InlineData(64, 144, true)]
    [InlineData(64, 128, false)]
    [InlineData(64, 121, false)] // windows of 5 make twelve
    [InlineData(32, 256, true)]
    [InlineData(32, 128, false)]
    [InlineData(8, 144, false)]
    [InlineData(8, 0, false)]
    public void Tokens_can_be_pooled_where_stock_Gemma_3_makes_as_many(int patchesPerSide, int tokens, bool possible)
    {
        Assert.Equal(possible, ModelVariant.CanPool(patchesPerSide, tokens));
        if (tokens == 0) return;
        int side = (int)Math.Sqrt(tokens), kernel = patchesPerSide / side, produced = kernel == 0 ? 0 : patchesPerSide / kernel * (patchesPerSide / kernel);
        Assert.Equal(possible, produced == tokens);
        if (possible) Assert.Equal(tokens, ModelVariant.PossibleImageTokens(patchesPerSide, tokens));
    }

    [Theory]
    [InlineData(64, 128, 64)]
    [InlineData(64, 5000, 4096)]
    [InlineData(8, 256, 64)]
    public void What_cannot_be_becomes_the_most_that_whole_windows_make(int patchesPerSide, int asked, int possible) =>
        Assert.Equal(possible, ModelVariant.PossibleImageTokens(patchesPerSide, asked));
}
