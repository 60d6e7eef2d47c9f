using System.Text;
using GemmaCore.Generation.Constraints;

namespace GemmaCore.Generation.Tests.Constraints;

/// <summary>The set of tokens that may follow, against trying every token of the vocabulary by itself.</summary>
public sealed class TokenMaskTests
{
    [Theory]
    [InlineData(@"\{""finding"": ""[^""]{0,60}""\}", "{\"finding\": \"a cyst \u00e9")]
    [InlineData("[\u0400-\U0001ffff]{1,5}x", "\u4e00\U0001f97a")]
    [InlineData(" ?(yes|no|no finding)", " no")]
    [InlineData("(a|b)*c{2,5}", "abbac")]
    public void Holds_the_tokens_that_the_automaton_takes_one_by_one(string expression, string answer)
    {
        var automaton = new LazyAutomaton(GrammarBuilder.Build(RegexReader.Read(expression)), ignoresFirstSpace: false);
        int state = LazyAutomaton.Start, checkedStates = 0, allowed = 0;
        byte[] bytes = [.. Encoding.UTF8.GetBytes(answer)];
        // The same path in both, byte by byte, so inside characters too.
        for (int length = 0; length <= bytes.Length; length++)
        {
            ulong[] mask = new ulong[(DemoVocabulary.Tokenizer.VocabularySize + 63) / 64];
            DemoVocabulary.Compiler.Trie.Fill(automaton, state, mask);
            for (int id = 0; id < DemoVocabulary.Tokenizer.VocabularySize; id++)
            {
                bool expected = Takes(automaton, state, DemoVocabulary.Tokenizer.BytesOf(id));
                Assert.True(expected == ((mask[id >> 6] >> id & 1) != 0), $"after {length} bytes, token {id} '{DemoVocabulary.Tokenizer.TokenOf(id)}': expected {expected}");
                allowed += expected ? 1 : 0;
            }

            checkedStates++;
            if (length < bytes.Length) state = automaton.Step(state, bytes[length]);
            Assert.NotEqual(LazyAutomaton.Dead, state);
        }

        Assert.Equal(bytes.Length + 1, checkedStates);
        Assert.InRange(allowed, bytes.Length, int.MaxValue);
    }

    [Fact]
    public void Every_token_with_text_is_found_where_anything_goes()
    {
        ulong[] mask = DemoVocabulary.Compiler.Regex("(.|\n)*").MaskOf(LazyAutomaton.Start);
        int all = 0, texts = 0;
        for (int id = 0; id < DemoVocabulary.Tokenizer.VocabularySize; id++)
        {
            byte[] bytes = DemoVocabulary.Tokenizer.BytesOf(id);
            // What begins with the rest of a character cannot stand first, and some bytes stand in no character.
            bool expected = bytes.Length > 0 && bytes[0] is not (>= 0x80 and <= 0xC1 or > 0xF4);
            Assert.True(expected == ((mask[id >> 6] >> id & 1) != 0), $"token {id}");
            all++;
            texts += expected ? 1 : 0;
        }

        Assert.InRange(texts, all / 2, all - 1); // marks of turns and pictures never
    }

    [Fact]
    public void Ends_only_where_the_answer_may_end()
    {
        Constraint constraint = DemoVocabulary.Compiler.Regex("ab?");
        var progress = new ConstraintProgress(constraint);
        int end = DemoVocabulary.EndOfTurn;
        HashSet<int> stops = [1, end];
        float[] logits = new float[DemoVocabulary.Tokenizer.VocabularySize];
        Assert.True(progress.TryApply(logits, stops));
        Assert.True(float.IsNegativeInfinity(logits[1]) && float.IsNegativeInfinity(logits[end]));
        Assert.False(progress.Allows(end, stops));
        progress.Advance(DemoVocabulary.Tokenizer.IdOf("a"));
        Array.Clear(logits);
        Assert.True(progress.TryApply(logits, stops));
        Assert.Equal((0f, 0f), (logits[1], logits[end]));
        Assert.True(progress.Allows(end, stops) && !progress.IsComplete);
        progress.Advance(DemoVocabulary.Tokenizer.IdOf("b"));
        Assert.True(progress.IsComplete);
    }

    [Fact]
    public void Takes_no_memory_once_its_sets_are_there()
    {
        Constraint constraint = DemoVocabulary.Compiler.Regex("[ab]*");
        HashSet<int> stops = [1, DemoVocabulary.EndOfTurn];
        float[] logits = new float[DemoVocabulary.Tokenizer.VocabularySize];
        int a = DemoVocabulary.Tokenizer.IdOf("a");
        var progress = new ConstraintProgress(constraint);
        for (int i = 0; i < 3; i++) Step();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++) Step();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Step()
        {
            progress.TryApply(logits, stops);
            progress.Advance(a);
        }
    }

    [Fact]
    public void The_first_space_of_an_answer_is_no_part_of_it_where_decoding_drops_it()
    {
        var automaton = new LazyAutomaton(GrammarBuilder.Build(RegexReader.Read("( a)+|b")), ignoresFirstSpace: true);
        Assert.True(Whole(automaton, "  a") && Whole(automaton, " b") && Whole(automaton, "b") && Whole(automaton, "  a a"));
        Assert.False(Whole(automaton, "  b") || Whole(automaton, "a"));
    }

    private static bool Whole(LazyAutomaton automaton, string text)
    {
        int state = LazyAutomaton.Start;
        foreach (byte value in Encoding.UTF8.GetBytes(text))
            if ((state = automaton.Step(state, value)) == LazyAutomaton.Dead) return false;
        return automaton.Accepts(state);
    }

    private static bool Takes(LazyAutomaton automaton, int state, byte[] bytes)
    {
        foreach (byte value in bytes)
            if ((state = automaton.Step(state, value)) == LazyAutomaton.Dead) return false;
        return bytes.Length > 0;
    }
}
