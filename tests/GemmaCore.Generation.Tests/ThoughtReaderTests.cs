using CsCheck;

namespace GemmaCore.Generation.Tests;

public sealed class ThoughtReaderTests
{
    private static readonly string[] Parts = ["<unused94>", "<unused95>", "thought", "\n", " ", "<", "unused9", "a", "Yes. "];

    [Theory]
    [InlineData("A cyst.", "", "A cyst.")]
    [InlineData("", "", "")]
    [InlineData(" \n", "", " \n")]
    [InlineData("<unused94>thought\nIs it round? Yes.<unused95>A cyst.", "Is it round? Yes.", "A cyst.")]
    [InlineData("\n<unused94>thought\n\nOne.\n\nTwo. \n<unused95>\n\nA cyst.\n", "One.\n\nTwo.", "A cyst.\n")]
    [InlineData("<unused94>I wonder.<unused95>A cyst.", "I wonder.", "A cyst.")]
    [InlineData("<unused94>thoughtful people wonder.<unused95>A cyst.", "thoughtful people wonder.", "A cyst.")]
    [InlineData("<unused94>thought<unused95>A cyst.", "", "A cyst.")]
    [InlineData("<unused94>thought\na < b and <unused9 is no mark<unused95>A", "a < b and <unused9 is no mark", "A")]
    [InlineData("<unused94>thought\nOne<unused95>Two<unused94>thought\nThree<unused95>", "One", "Two<unused94>thought\nThree<unused95>")]
    [InlineData("It is <unused94>thought\nx<unused95>", "", "It is <unused94>thought\nx<unused95>")]
    [InlineData("<unused9", "", "<unused9")]
    [InlineData("<unused95>A", "", "<unused95>A")]
    // Cut off: whatever was thought is no answer.
    [InlineData("<unused94>", "", "")]
    [InlineData("<unused94>tho", "", "")]
    [InlineData("<unused94>thought\n", "", "")]
    [InlineData("<unused94>thought\nIs it rou", "Is it rou", "")]
    [InlineData("<unused94>thought\nIs it round?<unus", "Is it round?<unus", "")]
    [InlineData("<unused94>thought\nIs it round?<unused95>\n", "Is it round?", "")]
    public void An_answer_is_told_from_its_thought_however_it_comes(string text, string thought, string answer)
    {
        Assert.Equal((thought, answer), ThoughtReader.Read(text));
        Assert.Equal((thought, answer), InPieces(text, text.Select(_ => 1)));
        for (int cut = 0; cut <= text.Length; cut++) Assert.Equal((thought, answer), InPieces(text, [cut]));
    }

    [Fact]
    public void Pieces_make_no_difference() =>
        Gen.Select(Gen.Int[0, Parts.Length - 1].Select(i => Parts[i]).List[0, 12], Gen.Int[0, 7].List[0, 20])
            .Sample((parts, sizes) =>
            {
                string text = string.Concat(parts);
                Assert.Equal(ThoughtReader.Read(text), InPieces(text, sizes));
            });

    [Fact]
    public void What_is_certain_is_not_held_back()
    {
        var reader = new ThoughtReader();
        Assert.Equal(("", "A"), reader.Push("A"));
        reader = new ThoughtReader();
        Assert.Equal(("", ""), reader.Push("<unused94>"));
        Assert.Equal(("Is", ""), reader.Push("thought\nIs "));
        Assert.Equal((" it", ""), reader.Push("it <unused"));
        Assert.Equal((" <unused6", ""), reader.Push("6"));
        Assert.Equal(("", "No"), reader.Push("<unused95>No"));
    }

    [Fact]
    public void Tokens_of_a_thought_are_counted_with_its_marks()
    {
        static GeneratedToken[] Tokens(params string[] texts) => [.. texts.Select(text => new GeneratedToken(1, text, float.NaN, []))];
        Assert.Equal(4, ThoughtReader.CountTokens(Tokens("<unused94>", "thought\n", "Round", "<unused95>", "A", " cyst")));
        Assert.Equal(3, ThoughtReader.CountTokens(Tokens("<unused94>", "thought\n", "Round")));
        Assert.Equal(0, ThoughtReader.CountTokens(Tokens("A", " cyst", "<unused95>")));
        Assert.Equal(0, ThoughtReader.CountTokens([]));
        var result = new GenerationResult("<unused94>thought\nRound<unused95>A cyst", Tokens("<unused94>", "thought\n", "Round", "<unused95>", "A", " cyst"), FinishReason.Stop, 1, 0, 0, 0);
        Assert.Equal(("Round", "A cyst", 4), (result.Thought, result.Answer, result.ThoughtTokenCount));
    }

    private static (string Thought, string Answer) InPieces(string text, IEnumerable<int> sizes)
    {
        var reader = new ThoughtReader();
        string thought = "", answer = "";
        void Take((string Thought, string Answer) parts) => (thought, answer) = (thought + parts.Thought, answer + parts.Answer);
        int at = 0;
        foreach (int size in sizes)
        {
            int end = Math.Min(text.Length, at + size);
            Take(reader.Push(text[at..end]));
            at = end;
        }

        Take(reader.Push(text[at..]));
        Take(reader.Finish());
        return (thought, answer);
    }
}
