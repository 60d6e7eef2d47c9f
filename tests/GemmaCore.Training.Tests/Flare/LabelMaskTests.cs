using GemmaCore.Inputs;
using GemmaCore.Testing;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training.Tests.Flare;

/// <summary>flare.md §11 A5: what of a row is taught, and that image tokens are never cut.</summary>
public class LabelMaskTests
{
    private static readonly PromptEncoder Prompts = PromptEncoder.Load(Goldens.DemoPath("model"));

    public static TheoryData<string> PromptSets => ["flare25", "flare26", "question"];

    private static IReadOnlyList<TrainingExample> Rows(string prompts) =>
        [.. FlareDataset.Read(Goldens.DemoPath("data"), "training", [], PromptSet.Of(prompts), new RowReport(false)).GroupBy(row => row.Dataset).SelectMany(set => set.Take(3))];

    [Theory]
    [MemberData(nameof(PromptSets))]
    public void A5_the_only_unmasked_tokens_decode_to_the_answer_its_end_and_a_line_end(string prompts)
    {
        var encoder = new ExampleEncoder(Prompts, maxLength: 0, LossTokens.AssistantTurn);
        IReadOnlyList<TrainingExample> rows = Rows(prompts);
        Assert.Equal(27, rows.Count);
        foreach (TrainingExample row in rows)
        {
            EncodedExample example = encoder.Encode(row);
            int[] taught = [.. example.Ids.Where((_, index) => example.IsTarget[index])];
            Assert.Equal($"{row.Answer}<end_of_turn>\n", Prompts.Tokenizer.Decode(taught, skipSpecialTokens: false));
            Assert.DoesNotContain(Prompts.ImageTokenId, taught);
            // Everything up to the model's turn is masked, and nothing after it.
            string masked = Prompts.Tokenizer.Decode([.. example.Ids.Where((_, index) => !example.IsTarget[index])], skipSpecialTokens: false);
            Assert.EndsWith("<start_of_turn>model\n", masked, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A5_image_tokens_are_never_cut_and_the_error_says_how_many_tokens_are_needed()
    {
        TrainingExample row = Rows("flare26")[0];
        int needed = new ExampleEncoder(Prompts, 0, LossTokens.AssistantOnly).Encode(row).Ids.Length;
        Assert.Equal(needed, new ExampleEncoder(Prompts, needed, LossTokens.AssistantOnly).Encode(row).Ids.Length);
        string message = Assert.Throws<DatasetException>(() => new ExampleEncoder(Prompts, needed - 1, LossTokens.AssistantOnly).Encode(row)).Message;
        Assert.EndsWith($"needs {needed} tokens (16 of images), but max_length is {needed - 1}", message, StringComparison.Ordinal);
    }
}
