namespace GemmaCore.Evaluation.Tests;

public sealed class MeteorLiteTests
{
    [Fact]
    public void By_hand()
    {
        Assert.Equal(1, Score("no effusion is seen", "no effusion is seen"));
        // Four matches in two pieces.
        Assert.Equal(1 - (0.6 * Math.Pow(0.5, 0.2)), Score("is seen no effusion", "no effusion is seen"), 1e-12);
        // "effusions" is "effusion" by its stem: 1.6 of 2, and all words stand in one piece. With a word more it is one piece of two matches.
        Assert.Equal(0.8, Score("no effusions", "no effusion"), 1e-12);
        double precision = 1.6 / 3, recall = 1.6 / 2, mean = precision * recall / ((0.85 * precision) + (0.15 * recall));
        Assert.Equal((1 - (0.6 * Math.Pow(0.5, 0.2))) * mean, Score("no effusions today", "no effusion"), 1e-12);
        Assert.Equal(0, Score("mass", "no effusion"));
        Assert.Equal((0, 1), (Score("", "no effusion"), Score("", "")));
    }

    [Fact]
    public void It_keeps_within_its_bounds_and_is_best_for_the_reference_itself()
    {
        string[] words = ["the", "heart", "hearts", "is", "normal", "no", "effusion", "effusions", "seen"];
        var random = new Random(5);
        for (int round = 0; round < 2000; round++)
        {
            string[] a = Draw(), b = Draw();
            Assert.InRange(MeteorLite.Score(a, b), 0, 1);
            Assert.Equal(1, MeteorLite.Score(b, b));
        }

        string[] Draw() => [.. Enumerable.Range(0, random.Next(1, 9)).Select(_ => words[random.Next(words.Length)])];
    }

    private static double Score(string candidate, string reference) => MeteorLite.Score(CaptionTokens.Of(candidate), CaptionTokens.Of(reference));
}
