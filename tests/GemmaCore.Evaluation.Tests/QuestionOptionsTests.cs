namespace GemmaCore.Evaluation.Tests;

public sealed class QuestionOptionsTests
{
    [Theory]
    [InlineData("Where is it? Options: A: upper left B: upper right C: lower left D: lower right", "ABCD")]
    [InlineData("Is this a standard plane? A. Standard plane B. Non-standard plane", "AB")]
    [InlineData("Which stage?\nA: none, B: mild, C: moderate, D: severe, E: proliferative", "ABCDE")]
    [InlineData("Choose.\nOptions: A) yes B) no", "AB")]
    [InlineData("Choose (A) yes or (B) no", "AB")]
    [InlineData("Class of cell? Options: A: x B: x C: x D: x E: x F: x G: x H: x I: x J: x K: x", "ABCDEFGHIJK")]
    [InlineData("A lesion is seen. Options: A: yes B: no", "AB")]
    [InlineData("See figure A. Then choose: A: yes B: no C: both", "ABC")]
    [InlineData("Vitamin B: too much? A: yes B: no", "AB")]
    [InlineData("How many cells are in this image?", "")]
    [InlineData("Only A: one", "")]
    [InlineData("B: first C: second", "")]
    [InlineData("DNA: yes. RNA: no. A", "")]
    [InlineData("", "")]
    public void Letters_are_those_that_the_question_offers(string question, string letters) => Assert.Equal(letters, string.Concat(QuestionOptions.Letters(question)));
}
