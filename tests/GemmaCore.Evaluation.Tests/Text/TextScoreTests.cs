using GemmaCore.Evaluation.Text;

namespace GemmaCore.Evaluation.Tests.Text;

/// <summary>BLEU, ROUGE-L, CIDEr-D and METEOR-lite: by hand, against their plain definitions, and what must hold of any texts.</summary>
public sealed class TextScoreTests
{
    private static readonly string[] Words = ["the", "heart", "is", "normal", "no", "effusion", "mass", "seen"];

    [Fact]
    public void Bleu_by_hand()
    {
        // 7 words of which "the" counts twice at most: Papineni's own example.
        Assert.Equal(2.0 / 7, Bleu.Score([TextPair.Of("the the the the the the the", "the cat is on the mat", "there is a cat on the mat")])[0], 1e-9);

        // 5 of 6 words, 3 of 5 pairs, 1 of 4 triples; the candidate is one word short.
        double[] scores = Bleu.Score([TextPair.Of("the cat sat on the mat", "the cat is on the mat today")]);
        double shorter = Math.Exp(1 - (7.0 / 6));
        Assert.Equal(shorter * 5 / 6, scores[0], 1e-8);
        Assert.Equal(shorter * Math.Sqrt(5.0 / 6 * 3 / 5), scores[1], 1e-8);
        Assert.Equal(shorter * Math.Pow(5.0 / 6 * 3 / 5 * 1 / 4, 1.0 / 3), scores[2], 1e-8);
        Assert.InRange(scores[3], 0, 1e-3);
    }

    [Fact]
    public void Rouge_by_hand()
    {
        Assert.Equal(0.75, RougeL.Score(TextPair.Of("police kill the gunman", "police killed the gunman")), 1e-12);
        // P = 2/4, R = 2/2, β = 1.2.
        Assert.Equal(2.44 * 0.5 / (1 + (1.44 * 0.5)), RougeL.Score(TextPair.Of("no large effusion seen", "no effusion")), 1e-12);
        Assert.Equal(0, RougeL.Score(TextPair.Of("", "no effusion")));
    }

    [Fact]
    public void Cider_by_hand()
    {
        // Two items. "no effusion" of item 1 has runs that item 2 lacks: every weight is ln 2, the vectors are one another's.
        double[] same = CiderD.Scores([TextPair.Of("no effusion", "no effusion"), TextPair.Of("large mass", "large mass")]);
        Assert.Equal([5, 5], same.Select(score => Math.Round(score, 9))); // runs of one and two words are all there are: half of 10
        double half = CiderD.Scores([TextPair.Of("no mass", "no effusion"), TextPair.Of("large lesion", "large lesion")])[0];
        // "no" is in one of the two references and "mass" in none, which counts as one: all weights are ln 2, and one of two single words is shared.
        Assert.Equal(10.0 / 4 * 0.5, half, 1e-9);
    }

    [Fact]
    public void Meteor_lite_by_hand()
    {
        Assert.Equal(1, MeteorLite.Score(TextPair.Of("no effusion is seen", "no effusion is seen")));
        // Four matches in two pieces of four words each.
        Assert.Equal(1 - (0.6 * Math.Pow(0.5, 0.2)), MeteorLite.Score(TextPair.Of("is seen no effusion", "no effusion is seen")), 1e-12);
        // "effusions" is "effusion" by its stem: 1.6 of 2, and all words stand in one piece. With a word more it is one piece of two matches.
        Assert.Equal(0.8, MeteorLite.Score(TextPair.Of("no effusions", "no effusion")), 1e-12);
        double precision = 1.6 / 3, recall = 1.6 / 2, mean = precision * recall / ((0.85 * precision) + (0.15 * recall));
        Assert.Equal((1 - (0.6 * Math.Pow(0.5, 0.2))) * mean, MeteorLite.Score(TextPair.Of("no effusions today", "no effusion")), 1e-12);
        Assert.Equal(0, MeteorLite.Score(TextPair.Of("mass", "no effusion")));
    }

    [Fact]
    public void The_longest_common_subsequence_is_that_of_its_definition()
    {
        var random = new Random(1);
        for (int round = 0; round < 300; round++)
        {
            IReadOnlyList<string> a = RandomWords(random, 8), b = RandomWords(random, 8);
            double common = Recursive(a, 0, b, 0), precision = common / a.Count, recall = common / b.Count;
            Assert.Equal(common == 0 ? 0 : 2.44 * precision * recall / (recall + (1.44 * precision)), RougeL.Score(new TextPair(a, [b])), 1e-12);
        }

        static int Recursive(IReadOnlyList<string> a, int i, IReadOnlyList<string> b, int j) =>
            i == a.Count || j == b.Count ? 0 : a[i] == b[j] ? 1 + Recursive(a, i + 1, b, j + 1) : Math.Max(Recursive(a, i + 1, b, j), Recursive(a, i, b, j + 1));
    }

    [Fact]
    public void Cider_is_that_of_its_definition()
    {
        var random = new Random(2);
        for (int round = 0; round < 40; round++)
        {
            TextPair[] pairs = [.. Enumerable.Range(0, random.Next(2, 6)).Select(_ => RandomPair(random))];
            double[] scores = CiderD.Scores(pairs);
            for (int i = 0; i < pairs.Length; i++) Assert.Equal(PlainCider(pairs, i), scores[i], 1e-9);
        }
    }

    [Fact]
    public void Scores_keep_within_their_bounds_whatever_the_order_and_are_best_for_the_reference_itself()
    {
        var random = new Random(5);
        for (int round = 0; round < 100; round++)
        {
            TextPair[] pairs = [.. Enumerable.Range(0, 6).Select(_ => RandomPair(random))], turned = [.. pairs.Reverse()];
            TextPair[] perfect = [.. pairs.Select(pair => pair with { Candidate = pair.References[0] })];
            Assert.Equal(Bleu.Score(pairs), Bleu.Score(turned), (x, y) => Math.Abs(x - y) < 1e-12);
            Assert.Equal(CiderD.Scores(pairs).Reverse(), CiderD.Scores(turned), (x, y) => Math.Abs(x - y) < 1e-9);
            Assert.All(Bleu.Score(pairs), score => Assert.InRange(score, 0, 1));
            Assert.All(CiderD.Scores(pairs), score => Assert.InRange(score, 0, 10 + 1e-9));
            Assert.All(pairs, pair => Assert.InRange(RougeL.Score(pair), 0, 1));
            Assert.All(pairs, pair => Assert.InRange(MeteorLite.Score(pair), 0, 1));
            Assert.All(perfect, pair => Assert.Equal((1, 1), (RougeL.Score(pair), MeteorLite.Score(pair))));
            Assert.Equal(1, Bleu.Score(perfect)[0], 1e-8);
        }
    }

    [Fact]
    public void A_text_without_a_reference_is_refused() => Assert.Throws<ArgumentException>(() => TextPair.Of("no effusion"));

    // Vedantam's formulas as they are printed, with lists in place of tables.
    private static double PlainCider(TextPair[] pairs, int item)
    {
        double sum = 0;
        foreach (IReadOnlyList<string> reference in pairs[item].References)
        {
            for (int n = 1; n <= 4; n++)
            {
                List<string> ours = Runs(pairs[item].Candidate, n), theirs = Runs(reference, n);
                string[] all = [.. ours.Union(theirs)];
                double[] a = [.. all.Select(run => ours.Count(x => x == run) * Rarity(run, n))], b = [.. all.Select(run => theirs.Count(x => x == run) * Rarity(run, n))];
                double product = a.Zip(b, (x, y) => Math.Min(x, y) * y).Sum(), norms = Math.Sqrt(a.Sum(x => x * x)) * Math.Sqrt(b.Sum(x => x * x));
                double difference = Math.Max(0, pairs[item].Candidate.Count - 1) - Math.Max(0, reference.Count - 1);
                sum += (norms > 0 ? product / norms : 0) * Math.Exp(-difference * difference / 72);
            }
        }

        return 10 * sum / 4 / pairs[item].References.Count;

        double Rarity(string run, int n) => Math.Log(pairs.Length) - Math.Log(Math.Max(1, pairs.Count(pair => pair.References.Any(reference => Runs(reference, n).Contains(run)))));

        static List<string> Runs(IReadOnlyList<string> words, int n) => [.. Enumerable.Range(0, Math.Max(0, words.Count - n + 1)).Select(i => string.Join(' ', words.Skip(i).Take(n)))];
    }

    private static TextPair RandomPair(Random random) => new(RandomWords(random, 10), [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => RandomWords(random, 10))]);

    private static IReadOnlyList<string> RandomWords(Random random, int most) => [.. Enumerable.Range(0, random.Next(1, most)).Select(_ => Words[random.Next(Words.Length)])];
}
