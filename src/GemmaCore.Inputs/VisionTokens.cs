namespace GemmaCore.Inputs;

/// <summary>The image side of a model's <c>config.json</c>: token ids, and how many tokens a picture becomes.</summary>
/// <param name="ImageTokenId">The id that is replaced by image features.</param>
/// <param name="StartOfImage">Text of the token before a picture.</param>
/// <param name="EndOfImage">Text of the token after a picture.</param>
/// <param name="ImageToken">Text of <paramref name="ImageTokenId"/>.</param>
/// <param name="TokensPerImage">Image tokens per picture.</param>
/// <param name="ImageSize">Side of the square picture that the vision tower takes, in pixels.</param>
internal sealed record VisionTokens(int ImageTokenId, string StartOfImage, string EndOfImage, string ImageToken, int TokensPerImage, int ImageSize)
{
    /// <summary>Reads and checks the image settings; null for a text-only model.</summary>
    /// <param name="config">The model's configuration.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="askedTokens">Tokens per picture instead of the configuration's; 0 for those.</param>
    public static VisionTokens? Read(JsonInput config, Tokenizer tokenizer, int askedTokens)
    {
        JsonInput vision = config.Optional("vision_config");
        if (vision.IsNull) return null;
        JsonInput tokens = config.Optional("mm_tokens_per_image");
        int imageSize = vision.Optional("image_size").IntegerOr(224), patchSize = vision.Optional("patch_size").IntegerOr(16);
        if (patchSize < 1 || imageSize < patchSize || imageSize % patchSize != 0)
            throw vision.Optional("image_size").Wrong($"a positive multiple of the patch size, which is {patchSize}");
        int tokensPerImage = askedTokens > 0 ? askedTokens : tokens.IntegerOr(256);
        int patchesPerSide = imageSize / patchSize;
        // Pooling with windows of ⌊patches / side⌋ must come to that side again.
        int[] possible = [.. Enumerable.Range(1, patchesPerSide).Where(side => patchesPerSide / (patchesPerSide / side) == side).Select(side => side * side)];
        if (!possible.Contains(tokensPerImage))
            throw new InputException($"{tokensPerImage} tokens per image (mm_tokens_per_image) cannot be pooled from {patchesPerSide} x {patchesPerSide} patches; " +
                $"possible: {string.Join(", ", possible)}");
        JsonInput imageToken = config.FirstOf("image_token_index", "image_token_id");
        int imageTokenId = imageToken.IntegerOr(262144);
        return new VisionTokens(
            imageTokenId,
            TextOf(config.FirstOf("boi_token_index", "boi_token_id"), 255999, tokenizer),
            TextOf(config.FirstOf("eoi_token_index", "eoi_token_id"), 256000, tokenizer),
            TextOf(imageToken, 262144, tokenizer), tokensPerImage, imageSize);
    }

    private static string TextOf(JsonInput key, int fallback, Tokenizer tokenizer)
    {
        int id = key.IntegerOr(fallback);
        return id >= 0 && id < tokenizer.VocabularySize && tokenizer.TokenOf(id) is { Length: > 0 } text
            ? text
            : throw key.Wrong($"the id of an image token; the tokenizer has {tokenizer.VocabularySize} tokens and {id} is none of them");
    }
}
