namespace GemmaCore.Testing.References;

/// <summary>A convolution whose stride is its kernel, then positions, behind an optional class token (arXiv:2010.11929).</summary>
public static class PatchEmbedReference
{
    /// <param name="pixels">[N, C, S, S].</param>
    /// <param name="w">[D, C, p, p].</param>
    /// <param name="bias">[D], or empty.</param>
    /// <param name="positions">[tokens, D].</param>
    /// <param name="classToken">[D], or empty.</param>
    /// <param name="channels">C.</param>
    /// <param name="size">S.</param>
    /// <param name="patch">p.</param>
    public static double[] Forward(
        double[] pixels, double[] w, double[] bias, double[] positions, double[] classToken, int channels, int size, int patch)
    {
        int side = size / patch, outputs = w.Length / (channels * patch * patch), images = pixels.Length / (channels * size * size);
        var y = new List<double>();
        for (int image = 0; image < images; image++)
        {
            int token = classToken.Length > 0 ? 1 : 0;
            if (token == 1) y.AddRange(classToken.Select((value, o) => value + positions[o]));
            for (int row = 0; row < side; row++)
                for (int column = 0; column < side; column++, token++)
                    for (int o = 0; o < outputs; o++)
                    {
                        double sum = positions[token * outputs + o] + (bias.Length > 0 ? bias[o] : 0);
                        for (int c = 0; c < channels; c++)
                            for (int dy = 0; dy < patch; dy++)
                                for (int dx = 0; dx < patch; dx++)
                                {
                                    double pixel = pixels[((image * channels + c) * size + row * patch + dy) * size + column * patch + dx];
                                    sum += pixel * w[((o * channels + c) * patch + dy) * patch + dx];
                                }

                        y.Add(sum);
                    }
        }

        return [.. y];
    }
}
