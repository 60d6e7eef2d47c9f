using GemmaCore.Generation.Constraints;
using GemmaCore.Inputs;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests.Constraints;

/// <summary>The embedded model's vocabulary, and answers that are drawn from it without a model: what a constraint allows is then all that shapes them.</summary>
internal static class DemoVocabulary
{
    public static Tokenizer Tokenizer { get; } = Tokenizer.Load(Goldens.DemoPath("model"));

    public static int EndOfTurn { get; } = Tokenizer.IdOf("<end_of_turn>");

    public static ConstraintCompiler Compiler { get; } = new(Tokenizer);

    /// <summary>Draws tokens from random logits until the answer ends or <paramref name="most"/> are drawn.</summary>
    /// <returns>The text, and whether the answer ended by itself.</returns>
    public static (string Text, bool IsWhole) Draw(Constraint constraint, ulong seed, int most)
    {
        var progress = new ConstraintProgress(constraint);
        var sampler = new Sampler(new SamplingParams { Temperature = 1, Seed = seed });
        var random = new Random((int)seed);
        HashSet<int> stops = [EndOfTurn];
        float[] logits = new float[Tokenizer.VocabularySize + 64]; // models have more rows than their tokenizers have tokens
        var ids = new List<int>();
        bool ended = false;
        while (!ended && ids.Count < most)
        {
            for (int i = 0; i < logits.Length; i++) logits[i] = 8 * random.NextSingle();
            logits[EndOfTurn] = 12; // what ends an answer is liked
            Assert.True(progress.TryApply(logits, stops));
            int id = sampler.Choose(logits, []);
            ended = stops.Contains(id);
            if (ended) break;
            ids.Add(id);
            progress.Advance(id);
            ended = progress.IsComplete;
        }

        return (Tokenizer.Decode([.. ids], skipSpecialTokens: true), ended);
    }
}
