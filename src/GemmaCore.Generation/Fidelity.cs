using GemmaCore.Checkpoints;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Tensors;

namespace GemmaCore.Generation;

/// <summary>
/// How near one way to run a model (another device, 16-bit arithmetic, quantised weights) comes to another, over the greedy answer of the reference: logits of every
/// token of it, computed with the tokens before it given, and the answer that the measured one gives by itself.
/// </summary>
/// <param name="Positions">Tokens compared.</param>
/// <param name="LargestDifference">Of two logits, the largest over all positions and the whole vocabulary.</param>
/// <param name="LargestLogit">The largest magnitude among the reference's logits.</param>
/// <param name="MeanDivergence">Kullback-Leibler divergence of the measured distribution from the reference's, in nats a token.</param>
/// <param name="LargestDivergence">The largest of one token.</param>
/// <param name="SameChoices">Tokens where both find the same one most likely.</param>
/// <param name="EqualTokens">Tokens of the measured one's own greedy answer that are the reference's, from the beginning to the first that is not.</param>
public sealed record Fidelity(
    int Positions, double LargestDifference, double LargestLogit, double MeanDivergence, double LargestDivergence, int SameChoices, int EqualTokens)
{
    /// <summary>The largest difference as a share of the largest logit, which is how parity with transformers is stated.</summary>
    public double RelativeDifference => LargestLogit > 0 ? LargestDifference / LargestLogit : 0;

    /// <summary>Compares two models over one prompt; nobody else may use either meanwhile.</summary>
    /// <param name="reference">What is taken as right.</param>
    /// <param name="measured">The same checkpoint and adapters, run another way.</param>
    /// <param name="prompt">The prompt.</param>
    /// <param name="tokens">Tokens of the answer to compare.</param>
    /// <param name="cancellation">Ends it between two steps.</param>
    /// <exception cref="InputException">The prompt does not fit the model's positions.</exception>
    /// <exception cref="CheckpointException">Logits are not finite.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static Fidelity Measure(GemmaModel reference, GemmaModel measured, Prompt prompt, int tokens, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(reference);
        ArgumentNullException.ThrowIfNull(measured);
        ArgumentNullException.ThrowIfNull(prompt);
        ArgumentOutOfRangeException.ThrowIfLessThan(tokens, 1);
        int[] expected = Answer(reference, prompt, tokens, cancellation), actual = Answer(measured, prompt, tokens, cancellation);
        int equal = 0;
        while (equal < Math.Min(expected.Length, actual.Length) && expected[equal] == actual[equal]) equal++;
        float[] right = Logits(reference, prompt, expected, cancellation), ours = Logits(measured, prompt, expected, cancellation);
        return Compare(right, ours, reference.Model.Layout.VocabularySize) with { EqualTokens = equal };
    }

    /// <summary>Several together.</summary>
    public static Fidelity Of(IReadOnlyCollection<Fidelity> parts)
    {
        ArgumentNullException.ThrowIfNull(parts);
        int positions = parts.Sum(part => part.Positions);
        return new Fidelity(
            positions, parts.Max(part => part.LargestDifference), parts.Max(part => part.LargestLogit), parts.Sum(part => part.MeanDivergence * part.Positions) / positions,
            parts.Max(part => part.LargestDivergence), parts.Sum(part => part.SameChoices), parts.Sum(part => part.EqualTokens));
    }

    /// <summary>Compares rows of logits.</summary>
    /// <param name="reference">[T, V].</param>
    /// <param name="measured">[T, V].</param>
    /// <param name="vocabulary">V.</param>
    internal static Fidelity Compare(ReadOnlySpan<float> reference, ReadOnlySpan<float> measured, int vocabulary)
    {
        int positions = reference.Length / vocabulary, same = 0;
        double difference = 0, logit = 0, divergence = 0, largest = 0;
        for (int row = 0; row < positions; row++)
        {
            ReadOnlySpan<float> right = reference.Slice(row * vocabulary, vocabulary), ours = measured.Slice(row * vocabulary, vocabulary);
            double rightTotal = SamplingFilters.LogSumExp(right), ourTotal = SamplingFilters.LogSumExp(ours), sum = 0;
            int rightBest = 0, ourBest = 0;
            for (int i = 0; i < vocabulary; i++)
            {
                difference = Math.Max(difference, Math.Abs((double)right[i] - ours[i]));
                logit = Math.Max(logit, Math.Abs((double)right[i]));
                double p = right[i] - rightTotal;
                sum += Math.Exp(p) * (p - (ours[i] - ourTotal));
                if (right[i] > right[rightBest]) rightBest = i;
                if (ours[i] > ours[ourBest]) ourBest = i;
            }

            if (rightBest == ourBest) same++;
            divergence += sum;
            largest = Math.Max(largest, sum);
        }

        return new Fidelity(positions, difference, logit, divergence / positions, largest, same, 0);
    }

    private static int[] Answer(GemmaModel model, Prompt prompt, int tokens, CancellationToken cancellation)
    {
        GenerationResult result = model.Generate([(prompt, new SamplingParams { MaxTokens = tokens, IgnoreEos = true })], null, cancellation)[0];
        cancellation.ThrowIfCancellationRequested();
        return [.. result.Tokens.Select(token => token.Id)];
    }

    // [tokens, V]: the logits that each token of the answer was chosen from, computed as an answer is: the prompt, then token by token.
    private static float[] Logits(GemmaModel model, Prompt prompt, int[] answer, CancellationToken cancellation)
    {
        using IDisposable turn = model.TakeTurn();
        LanguageModel network = model.Model;
        int vocabulary = network.Layout.VocabularySize;
        using var arena = new Arena(network.Device);
        using KvCache cache = network.CreateCache(prompt.Ids.Length + answer.Length);
        var batch = new TokenBatch();
        var logits = new float[answer.Length * vocabulary];
        for (int i = 0; i < answer.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            Arena.Mark mark = arena.Position;
            batch.Clear();
            if (i == 0) batch.ImageFeatures = ImageEncoding.Encode(network, [.. prompt.Images.Select(image => image.Values)], arena);
            batch.Add(i == 0 ? prompt.Ids : [answer[i - 1]], network.ImageTokenId, cache);
            TensorView hidden = network.Forward(batch, arena, null), row = arena.Take(new Shape(1, vocabulary));
            network.Logits(hidden.Slice(batch.TokenCount - 1, 1), row);
            row.ToFloats().CopyTo(logits, i * vocabulary);
            arena.Rewind(mark);
        }

        return SamplingFilters.AllFinite(logits) ? logits : throw new CheckpointException("the model's logits are not finite");
    }
}
