using GemmaCore.Evaluation.Text;

namespace GemmaCore.Evaluation.Tests.Text;

public sealed class CaptionTokenizerTests
{
    [Theory]
    [InlineData("The heart is NORMAL in size.", "the heart is normal in size")]
    [InlineData("No pneumothorax; no effusion, no fracture!", "no pneumothorax no effusion no fracture")]
    [InlineData("There isn't any. It doesn't and can't: it cannot.", "there is n't any it does n't and ca n't it can not")]
    [InlineData("The patient's lungs (both) are well-expanded", "the patient 's lungs -lrb- both -rrb- are well-expanded")]
    [InlineData("A 3.5 cm mass on 12/11/2020, 1,000 cells, 5% -2.5", "a 3.5 cm mass on 12/11/2020 1,000 cells 5 % -2.5")]
    [InlineData("Dr. Smith vs. the U.S. team...", "dr. smith vs. the u.s. team")]
    [InlineData("Pneumothorax: no. See fig. 3 of No. 2, no change in fig.", "pneumothorax no see fig. 3 of no. 2 no change in fig")]
    [InlineData("Rt. lung on Jan. 3", "rt. lung on jan. 3")]
    [InlineData("\"quoted\" 'single' -- dashes - and--more", "quoted single dashes and more")]
    [InlineData("T2-weighted X-ray of L4-L5, 10x20mm", "t2-weighted x-ray of l4-l5 10x20mm")]
    [InlineData("We’re here; he'll see", "we 're here he 'll see")]
    [InlineData("", "")]
    [InlineData(" \n\t. ", "")]
    public void Words_are_those_of_the_caption_tools(string text, string words) => Assert.Equal(words, string.Join(' ', CaptionTokenizer.Words(text)));

    [Fact]
    public void Anything_can_be_cut_into_words_and_no_word_holds_a_blank()
    {
        var random = new Random(3);
        const string letters = "ab AB.,'-()[]{}0189%/&_\"`’\n\té漢😀\u0301";
        for (int round = 0; round < 20_000; round++)
        {
            string text = string.Concat(Enumerable.Range(0, random.Next(30)).Select(_ => letters[random.Next(letters.Length)]));
            Assert.All(CaptionTokenizer.Words(text), word => Assert.False(word.Length == 0 || word.Any(char.IsWhiteSpace), $"'{word}' of '{text}'"));
        }
    }
}
