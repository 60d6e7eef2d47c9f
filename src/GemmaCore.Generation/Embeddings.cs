using GemmaCore.Inputs;

namespace GemmaCore.Generation;

/// <summary>
/// Prompts as vectors. Gemma is not trained to embed; the mean of its last hidden states is a usable default for search among texts, or pictures, of one kind.
/// </summary>
public static class Embeddings
{
    /// <summary>A request whose result has an <see cref="GenerationResult.Embedding"/> in place of an answer; for a <see cref="RequestLoop"/>.</summary>
    /// <exception cref="InputException">There is nothing in the prompt but its opening token.</exception>
    public static GenerationRequest Request(Prompt prompt, Tokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        ArgumentNullException.ThrowIfNull(tokenizer);
        int skipped = prompt.Ids is [var first, ..] && first == tokenizer.BosId ? 1 : 0;
        if (prompt.Ids.Length == skipped) throw new InputException("there is nothing to embed: the text is empty");
        return new GenerationRequest(prompt, new SamplingParams { MaxTokens = 1 }) { Embedding = new EmbeddingRequest(skipped) };
    }

    /// <summary>The first dimensions of an embedding, again of length 1.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It has not that many, or all of the first ones are zero.</exception>
    public static float[] Shorten(float[] embedding, int dimensions)
    {
        ArgumentNullException.ThrowIfNull(embedding);
        if (dimensions < 1 || dimensions > embedding.Length) throw new ArgumentOutOfRangeException(nameof(dimensions), dimensions, $"dimensions must be from 1 to {embedding.Length}");
        if (dimensions == embedding.Length) return embedding;
        double squares = 0;
        foreach (float value in embedding.AsSpan(0, dimensions)) squares += (double)value * value;
        if (squares == 0) throw new ArgumentOutOfRangeException(nameof(dimensions), dimensions, "the first dimensions are all zero");
        double scale = 1 / Math.Sqrt(squares);
        float[] vector = new float[dimensions];
        for (int i = 0; i < vector.Length; i++) vector[i] = (float)(embedding[i] * scale);
        return vector;
    }
}
