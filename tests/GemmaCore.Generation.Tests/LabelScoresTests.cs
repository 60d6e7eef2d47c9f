using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

public sealed class LabelScoresTests : IDisposable
{
    private const string Breast = "validation-public/Ultrasound/phantom_breast/imagesVal/phantom_breast_0000.jpg";
    private const string Skin = "validation-public/Dermatology/phantom_skin/imagesVal/phantom_skin_0000.jpg";

    private readonly GemmaModel _model = GemmaModel.Load(Goldens.DemoPath("model"), 2);

    public void Dispose() => _model.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Scores_are_the_log_probabilities_of_one_pass_over_prompt_and_label(bool wholeAnswer)
    {
        Prompt skin = Ask("Is the border of this lesion regular? Options: A: regular B: irregular", Skin), breast = Ask("Which finding does this ultrasound show?", Breast);
        string[] letters = ["A", "B", "C"], words = ["no lesion", "benign lesion", "malignant lesion", "malignant lesion of the upper wall", "B"];
        IReadOnlyList<IReadOnlyList<LabelScore>> scores = _model.Score([(skin, letters), (breast, words), (skin, words)], wholeAnswer, TestContext.Current.CancellationToken);

        Check(skin, letters, scores[0], wholeAnswer);
        Check(breast, words, scores[1], wholeAnswer);
        Check(skin, words, scores[2], wholeAnswer);
        Assert.Equal(scores[0][1].Logprob, scores[2][4].Logprob); // one label in other company
    }

    [Fact]
    public void The_most_likely_letter_is_what_the_model_answers()
    {
        Prompt prompt = Ask("Where is the lesion? Options: A: upper left B: upper right C: lower left D: lower right", "validation-public/MRI/phantom_brain/imagesVal/phantom_brain_0000.jpg");
        IReadOnlyList<LabelScore> scores = _model.Score([(prompt, ["A", "B", "C", "D"])], cancellation: TestContext.Current.CancellationToken)[0];
        string answer = _model.Generate([(prompt, new SamplingParams { MaxTokens = 3 })], null, TestContext.Current.CancellationToken)[0].Text;
        Assert.Equal(answer, scores.MaxBy(score => score.Logprob)!.Label);
        Assert.Equal(1, scores.Sum(score => score.Probability), 1e-12);
        Assert.InRange(scores.Sum(score => Math.Exp(score.Logprob)), 0.5, 1 + 1e-6); // letters are most of what it may say here
    }

    [Fact]
    public void Labels_that_differ_in_their_last_token_are_one_request()
    {
        Prompt prompt = Ask("What is this?", Skin);
        Assert.Single(new LabelScores(_model.Prompts, prompt, ["A", "B", "C", "D"], false, _model.Defaults.StopIds).Requests);
        Assert.Equal(4, new LabelScores(_model.Prompts, prompt, ["A", "B", "C", "D"], true, _model.Defaults.StopIds).Requests.Count);
    }

    [Fact]
    public void Labels_that_cannot_be_scored_are_named()
    {
        Prompt prompt = Ask("What is this?", Skin);
        Assert.Contains("0 labels", Refusal([]), StringComparison.Ordinal);
        Assert.Contains("257 labels", Refusal([.. Enumerable.Range(0, 257).Select(i => $"label {i}")]), StringComparison.Ordinal);
        Assert.Contains("label 'A' is there twice", Refusal(["A", "B", "A"]), StringComparison.Ordinal);
        Assert.Contains("label ''", Refusal(["A", ""]), StringComparison.Ordinal);
        Assert.Contains("expected 1 to 64", Refusal([string.Concat(Enumerable.Repeat("a lesion ", 200))]), StringComparison.Ordinal);

        string Refusal(string[] labels) => Assert.Throws<InputException>(() => _model.Score([(prompt, labels)])).Message;
    }

    // Every label alone, all tokens in one pass without a cache.
    private void Check(Prompt prompt, string[] labels, IReadOnlyList<LabelScore> scores, bool wholeAnswer)
    {
        double[] expected = [.. labels.Select(label => Logprob(prompt, [.. _model.Prompts.Tokenizer.EncodeContinuation(label), .. wholeAnswer ? [_model.Prompts.EncodeAnswer("")[0]] : Array.Empty<int>()]))];
        double total = expected.Sum(Math.Exp);
        for (int i = 0; i < labels.Length; i++)
        {
            Assert.Equal(labels[i], scores[i].Label);
            Assert.Equal(expected[i], scores[i].Logprob, 1e-4 * (1 + Math.Abs(expected[i])));
            Assert.Equal(Math.Exp(expected[i]) / total, scores[i].Probability, 1e-4);
        }
    }

    private double Logprob(Prompt prompt, int[] label)
    {
        LanguageModel model = _model.Model;
        using var arena = new Arena(model.Device);
        TensorView features = ImageEncoding.Encode(model, [prompt.Images[0].Values], arena);
        var batch = new TokenBatch { ImageFeatures = features };
        batch.Add([.. prompt.Ids, .. label[..^1]], model.ImageTokenId, null);
        TensorView hidden = model.Forward(batch, arena, null), logits = arena.Take(new Shape(label.Length, model.Layout.VocabularySize));
        model.Logits(hidden.Slice(prompt.Ids.Length - 1, label.Length), logits);
        float[] values = logits.ToFloats();
        return label.Select((id, i) => values[i * logits.Shape[1] + id] - SamplingFilters.LogSumExp(values.AsSpan(i * logits.Shape[1], logits.Shape[1]))).Sum();
    }

    private Prompt Ask(string question, string image) =>
        _model.Prompts.Encode([new ChatMessage(ChatRole.User, [new ImagePart(ImageSource.FromFile(Goldens.DemoPath("data/" + image))), new TextPart(question)])], true);
}
