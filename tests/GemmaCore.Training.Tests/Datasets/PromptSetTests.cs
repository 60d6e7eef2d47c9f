using GemmaCore.Evaluation;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training.Tests.Datasets;

public class PromptSetTests
{
    private static PromptQuestion Question(TaskType? task, string question = "Q?", string options = "", int images = 1, bool instances = false) =>
        new(task, instances, "X-ray", question, options, images);

    [Fact]
    public void The_bare_question_has_no_system_text()
    {
        Assert.Null(PromptSet.Question.System);
        Assert.Equal("Q?", PromptSet.Question.Text(Question(TaskType.Detection)));
    }

    // Byte for byte from flare.md §2.1.
    [Theory]
    [InlineData(TaskType.Classification, 1, false, "Look at the image carefully and classify what you see. Provide a clear, specific answer.\n\nQ?")]
    [InlineData(TaskType.Classification, 2, false, "Look at the images carefully and classify what you see. Provide a clear, specific answer.\n\nQ?")]
    [InlineData(TaskType.Detection, 1, false, "Examine the image and detect the specified objects or features. Be precise in your response.\n\nQ?")]
    [InlineData(TaskType.Detection, 1, true, "Look at the image and identify specific instances of the target objects. Provide precise detection results.\n\nQ?")]
    [InlineData(null, 1, false, "Look at the image and answer the question accurately based on what you observe.\n\nQ?")]
    public void Flare25_gives_one_instruction(TaskType? task, int images, bool instances, string expected) =>
        Assert.Equal(expected, PromptSet.Flare25.Text(Question(task, images: images, instances: instances)));

    // Byte for byte from flare.md §2.2: both instructions, then the question.
    [Theory]
    [InlineData(TaskType.Counting, "Q?", "", "You are given a medical image. Return only the integer count requested.\n\nReturn only the numeric count requested for this image.\nQuestion: Q?")]
    [InlineData(TaskType.MultiLabelClassification, "Q?", "A) x B) y", "You are given a medical image. Identify all applicable findings or labels. Return labels separated by semicolons. "
        + "Return an empty string if none apply.\n\nIdentify all applicable findings or labels in this X-ray image. Select all that apply.\nQuestion: Q?\nOptions: A) x B) y")]
    [InlineData(TaskType.ReportGeneration, "", "", "You are given a medical image. Generate a concise radiology-style report with relevant findings and impression.\n\n"
        + "Generate a concise diagnostic report for this X-ray image.")]
    [InlineData(null, "Q?", "", "Answer the medical imaging question using the provided image.\n\nQ?")]
    public void Flare26_gives_two_instructions(TaskType? task, string question, string options, string expected) =>
        Assert.Equal(expected, PromptSet.Flare26.Text(Question(task, question, options)));

    // The baseline's own mismatch (flare.md §2.2).
    [Theory]
    [InlineData(false, "return only the correct option text or class label.")]
    [InlineData(true, "return only the correct option letter or class label.")]
    public void Flare26_asks_for_the_letter_where_a_model_answers(bool answers, string words)
    {
        Assert.Contains(words, PromptSet.Of("flare26", answers).Text(Question(TaskType.Classification)), StringComparison.Ordinal);
        Assert.Equal(PromptSet.Flare26.Text(Question(TaskType.Counting)), PromptSet.Of("flare26", answers).Text(Question(TaskType.Counting)));
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, """[{"TaskType":"classification","Question":"Which?"}]""");
            TrainingExample row = Dataset.Open(new DatasetConfiguration { Type = "flare", Path = file, ForAnswers = answers }, "", new RowReport(false))[0];
            Assert.Contains(words, Assert.IsType<Inputs.TextPart>(row.Prompt[^1].Content[^1]).Text, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void Options_of_a_row_reach_the_prompt()
    {
        TrainingExample row = FlareDataset.Parse(
            """[{"TaskType":"classification","Modality":"MRI","Question":"Which?","Choices":{"A":"left","B":"right"}}]"""u8.ToArray(),
            "f", "d", _ => null, PromptSet.Flare26, new RowReport(false))[0];
        Assert.EndsWith("\nQuestion: Which?\nOptions: A) left B) right", Assert.IsType<Inputs.TextPart>(row.Prompt[^1].Content[^1]).Text, StringComparison.Ordinal);
        Assert.Equal("You are an expert medical imaging assistant.", Assert.IsType<Inputs.TextPart>(row.Prompt[0].Content[0]).Text);
    }

    [Fact]
    public void Any_text_can_be_replaced()
    {
        PromptSet prompts = PromptSet.Flare25.With(new Dictionary<string, string>
        {
            ["system"] = "S",
            ["Classification"] = "Name what this {modality} shows: {question}!",
            ["cell_counting"] = "Count.",
            ["other"] = "Say:",
        });
        Assert.Equal("S", prompts.System);
        Assert.Equal("Name what this X-ray shows: Q?!", prompts.Text(Question(TaskType.Classification)));
        Assert.Equal("Count.\n\nQ?", prompts.Text(Question(TaskType.Counting)));
        Assert.Equal("Say:\n\nQ?", prompts.Text(Question(null)));
        Assert.Equal(PromptSet.Flare25.Text(Question(TaskType.Regression)), prompts.Text(Question(TaskType.Regression)));
        Assert.Null(PromptSet.Flare25.With(new Dictionary<string, string> { ["system"] = "" }).System);
    }

    [Fact]
    public void An_entry_for_no_task_is_an_error() =>
        Assert.Contains("'segmentation'", Assert.Throws<DatasetException>(() => PromptSet.Question.With(new Dictionary<string, string> { ["segmentation"] = "x" })).Message, StringComparison.Ordinal);

    [Fact]
    public void Another_set_is_an_error() => Assert.Contains("'flare24'", Assert.Throws<DatasetException>(() => PromptSet.Of("flare24")).Message, StringComparison.Ordinal);
}
