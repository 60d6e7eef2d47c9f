using CsCheck;
using static GemmaCore.Evaluation.Tests.Rows;

namespace GemmaCore.Evaluation.Tests;

public class CaptionMetricsTests
{
    // Figures of these items come from a plain Python script of the tools' formulas, written apart from this code.
    private static readonly (string Candidate, string[] References)[] Items =
    [
        ("the heart is normal in size", ["the heart is normal", "heart size is within normal limits"]),
        ("no pleural effusion or pneumothorax", ["there is no pneumothorax or pleural effusion"]),
        ("a large red polyp is seen", ["a large red polyp is seen on the left wall no bleeding"]),
        ("the the the lungs", ["the lungs are clear", "lungs clear"]),
    ];

    private static string[] Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static string[][] Words(string[] texts) => [.. texts.Select(Words)];

    [Fact]
    public void Bleu_of_a_collection()
    {
        double[] sums = new double[10], bleu = new double[4];
        foreach ((string candidate, string[] references) in Items)
            foreach ((double term, int index) in CaptionMetrics.BleuTerms(Words(candidate), Words(references)).Select((term, index) => (term, index))) sums[index] += term;
        CaptionMetrics.Bleu(sums, bleu);
        double[] expected = [0.585608933665612, 0.4851283196223457, 0.4202346692478093, 0.3874466411577187];
        for (int n = 0; n < 4; n++) Assert.Equal(expected[n], bleu[n], 1e-12);
    }

    [Fact]
    public void Rouge_l_of_each_item()
    {
        double[] expected = [0.8299319727891156, 0.48541114058355433, 0.6288659793814433, 0.5];
        for (int i = 0; i < Items.Length; i++) Assert.Equal(expected[i], CaptionMetrics.RougeL(Words(Items[i].Candidate), Words(Items[i].References)), 1e-12);
    }

    [Fact]
    public void Cider_d_of_each_item()
    {
        double[] expected = [4.117560167274485, 2.6018425671536543, 3.9712077827627112, 1.6670615585569037];
        double[] scores = CaptionMetrics.CiderD([.. Items.Select(item => ((IReadOnlyList<string>)Words(item.Candidate), (IReadOnlyList<IReadOnlyList<string>>)Words(item.References)))]);
        for (int i = 0; i < Items.Length; i++) Assert.Equal(expected[i], scores[i], 1e-12);
    }

    // By definition: leave out a word here or there, or keep both where they agree.
    private static int PlainCommon(string[] a, string[] b) => a.Length == 0 || b.Length == 0 ? 0
        : a[^1] == b[^1] ? 1 + PlainCommon(a[..^1], b[..^1]) : Math.Max(PlainCommon(a[..^1], b), PlainCommon(a, b[..^1]));

    [Fact]
    public void The_longest_common_subsequence_is_that_of_the_definition()
    {
        Gen<string[]> words = Gen.Int[0, 2].Select(index => "abc"[index].ToString()).Array[0, 8];
        Gen.Select(words, words).Sample((a, b) => CaptionMetrics.CommonSubsequence(a, b) == PlainCommon(a, b), iter: 2000);
    }

    [Fact]
    public void Figures_lie_in_their_bounds_and_equal_texts_are_perfect()
    {
        Gen<string> text = Gen.Int[0, 9].Select(index => "heart lungs clear no the of is large in mm".Split(' ')[index]).Array[1, 9].Select(words => string.Join(' ', words));
        Gen.Select(text, text).Array[2, 12].Sample(
            pairs =>
            {
                ScoringRules rules = ScoringRules.Flare26.With(new TextScoring(TextScoring.Known));
                Dictionary<string, double> Figures(Func<(string, string), string> prediction) => new Evaluator(rules, 0, 0)
                    .Score(Matched(TaskType.ReportGeneration, [.. pairs.Select(pair => (pair.Item1, (string?)prediction(pair)))])).Mean.ToDictionary(metric => metric.Name, metric => metric.Value);
                Assert.All(Figures(pair => pair.Item2), metric => Assert.InRange(metric.Value, 0, metric.Key == "cider_d" ? 10 + 1e-9 : 1));
                Dictionary<string, double> perfect = Figures(pair => pair.Item1);
                Assert.Equal(1, perfect["rouge_l"], 1e-12);
                Assert.Equal(1, perfect["bleu_1"], 1e-6);
            },
            iter: 200);
    }

    [Fact]
    public void Empty_answers_score_nothing() => Assert.Equal(
        0, new Evaluator(ScoringRules.Flare26.With(new TextScoring(TextScoring.Known)), 0, 0).Score(Matched(TaskType.ReportGeneration, ("Normal heart.", ""), ("Clear lungs.", null))).Mean[0].Value);

    [Theory]
    [InlineData("The heart is normal in size, and the lungs are clear.", "the heart is normal in size and the lungs are clear")]
    [InlineData("There's no 3.5-cm mass; it doesn't enhance.", "there 's no 3.5-cm mass it does n't enhance")]
    [InlineData("Dr. Smith's report (final): 1,200 ml, 5 mm!", "dr. smith 's report -lrb- final -rrb- 1,200 ml 5 mm")]
    [InlineData("Cannot exclude; follow-up ... e.g. CT -- \"soon\"", "can not exclude follow-up e.g. ct soon")]
    [InlineData("", "")]
    public void Reports_fall_into_treebank_words(string text, string expected) => Assert.Equal(expected, string.Join(' ', CaptionTokens.Of(text)));
}
