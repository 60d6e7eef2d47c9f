using GemmaCore.Inputs;
using GemmaCore.Testing;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;
using GemmaCore.Training.Planning;

namespace GemmaCore.Training.Tests.Planning;

public sealed class RunContentTests
{
    private static readonly PromptEncoder Prompts = PromptEncoder.Load(Goldens.DemoPath("model"));

    // A row of text alone may have its whole length in the loss, whatever pictures the other rows have.
    [Theory]
    [InlineData(true, true, 1, 99)]
    [InlineData(true, false, 1, 83)]
    [InlineData(false, true, 0, 99)]
    public void The_largest_sample_is_the_largest_in_every_respect(bool pictures, bool text, int images, int targets)
    {
        TrainingExample row = FlareDataset.Read(Goldens.DemoPath("data"), "training", [], PromptSet.Of("question"), new RowReport(false))[0];
        TrainingExample[] rows =
        [
            .. pictures ? [row] : Array.Empty<TrainingExample>(),
            .. text ? [row with { Prompt = [new ChatMessage(ChatRole.User, [new TextPart("What is a fracture?")])] }] : Array.Empty<TrainingExample>(),
        ];
        var configuration = new TrainingConfiguration { MaxLength = 100 };
        var data = new EncodedDataset(rows, new ExampleEncoder(Prompts, 100, LossTokens.AssistantOnly), new RowReport(false));
        Assert.Equal(new SampleShape(100, images, targets), new RunContent(configuration, data, null).LargestSample(Prompts, rows));
    }
}
