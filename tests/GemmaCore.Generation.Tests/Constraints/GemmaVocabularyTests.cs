using System.Diagnostics;
using System.Numerics;
using GemmaCore.Generation.Constraints;
using GemmaCore.Inputs;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests.Constraints;

/// <summary>Constraints over Gemma's own vocabulary of 262 145 tokens; the times are printed.</summary>
public sealed class GemmaVocabularyTests(ITestOutputHelper output)
{
    private const string Schema =
        """{"type":"object","properties":{"finding":{"type":"string"},"side":{"enum":["left","right","both"]},"size_mm":{"type":"number","minimum":0,"maximum":500},"boxes":{"type":"array","items":{"type":"array","items":{"type":"integer"},"minItems":4,"maxItems":4}}},"required":["finding","side","boxes"],"additionalProperties":false}""";

    private const string Answer = """{"finding": "A 3 cm mass, spiculated – “suspicious”.", "side":"left","size_mm": 31.5, "boxes":[[1, 2,30,44]]}""";

    [Fact]
    public void A_set_holds_what_the_automaton_takes_and_is_quick()
    {
        string folder = Goldens.SharedPath("gemma3-tokenizer");
        Assert.SkipUnless(Directory.Exists(folder), "the real Gemma 3 tokenizer is not beside the clone");
        Tokenizer tokenizer = Tokenizer.Load(folder);
        long start = Stopwatch.GetTimestamp();
        var trie = new VocabularyTrie(tokenizer);
        output.WriteLine($"tree of {trie.TokenCount} tokens, {trie.NodeCount} nodes: {Stopwatch.GetElapsedTime(start).TotalMilliseconds:F0} ms, once for a model");
        foreach ((string name, Func<Pattern> pattern, string answer) in ((string, Func<Pattern>, string)[])
            [
                ("schema", () => GemmaCore.Generation.Constraints.Json.SchemaReader.Read(Schema), Answer),
                ("object", () => GemmaCore.Generation.Constraints.Json.JsonPatterns.Object(GemmaCore.Generation.Constraints.Json.JsonPatterns.AnyValue()), Answer),
                ("regex", () => RegexReader.Read("(yes|no), because [^.]{10,200}\\."), "yes, because the cortical line is interrupted."),
                ("choice", () => Pattern.OneOf([.. Enumerable.Range(0, 200).Select(i => Pattern.Text($"label {i}"))]), "label 117"),
            ])
        {
            start = Stopwatch.GetTimestamp();
            var constraint = new Constraint("", pattern(), trie);
            double compile = Stopwatch.GetElapsedTime(start).TotalMilliseconds, worst = 0, total = 0, apply = 0;
            var automaton = new LazyAutomaton(GrammarBuilder.Build(pattern()), ignoresFirstSpace: false);
            int state = LazyAutomaton.Start, own = LazyAutomaton.Start, steps = 0;
            var progress = new ConstraintProgress(constraint);
            float[] logits = new float[262_208];
            foreach (int id in tokenizer.EncodeContinuation(answer))
            {
                start = Stopwatch.GetTimestamp();
                ulong[] mask = constraint.MaskOf(state);
                double time = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                (worst, total, steps) = (Math.Max(worst, time), total + time, steps + 1);
                start = Stopwatch.GetTimestamp();
                Assert.True(progress.TryApply(logits, [1, 106]));
                apply += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                int expected = 0;
                for (int other = 0; other < trie.TokenCount; other++) expected += Takes(automaton, own, trie.BytesOf(other)) ? 1 : 0;
                Assert.Equal(expected, mask.Sum(BitOperations.PopCount));
                Assert.True((mask[id >> 6] >> id & 1) != 0, $"{name}: token {id} is not allowed after {steps - 1} tokens");
                progress.Advance(id);
                state = constraint.Advance(state, id);
                foreach (byte value in trie.BytesOf(id)) own = automaton.Step(own, value);
            }

            Assert.True(automaton.Accepts(own));
            output.WriteLine($"{name}: compiled with its first set in {compile:F1} ms; further sets {total / steps:F2} ms on average, {worst:F2} at most; to apply one {apply / steps:F3} ms; {steps} tokens");
        }
    }

    private static bool Takes(LazyAutomaton automaton, int state, ReadOnlySpan<byte> bytes)
    {
        foreach (byte value in bytes)
            if ((state = automaton.Step(state, value)) == LazyAutomaton.Dead) return false;
        return bytes.Length > 0;
    }
}
