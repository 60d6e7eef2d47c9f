namespace GemmaCore.Evaluation.Tests;

public class TaskTypesTests
{
    [Theory]
    [InlineData("Classification", TaskType.Classification)]
    [InlineData("classification", TaskType.Classification)]
    [InlineData("multi-label classification", TaskType.MultiLabelClassification)]
    [InlineData("Multi_Label (Classification)", TaskType.MultiLabelClassification)]
    [InlineData("Detection", TaskType.Detection)]
    [InlineData("instance_detection", TaskType.Detection)]
    [InlineData("regression", TaskType.Regression)]
    [InlineData("counting", TaskType.Counting)]
    [InlineData(" Cell  Counting ", TaskType.Counting)]
    [InlineData("report_generation", TaskType.ReportGeneration)]
    [InlineData("cls", TaskType.Classification)] // these three are the baseline's own
    [InlineData("multilabel", TaskType.MultiLabelClassification)]
    [InlineData("count", TaskType.Counting)]
    public void Every_spelling_of_the_data_set_is_known(string text, TaskType expected) => Assert.Equal(expected, TaskTypes.Parse(text));

    [Fact]
    public void Another_task_is_unknown() => Assert.Null(TaskTypes.Parse("segmentation"));

    [Fact]
    public void Canonical_names_read_back()
    {
        foreach (TaskType task in Enum.GetValues<TaskType>()) Assert.Equal(task, TaskTypes.Parse(task.Name()));
    }
}
