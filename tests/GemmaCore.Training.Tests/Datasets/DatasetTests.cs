using CsCheck;
using GemmaCore.Testing;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training.Tests.Datasets;

public class DatasetTests
{
    private static readonly DatasetConfiguration Cells = new() { Path = Goldens.DemoPath("data"), Tasks = ["phantom_cells"], Prompts = "question" };

    private static TrainingConfiguration Evaluating => new() { Dataset = Cells, EvalStrategy = "steps" };

    [Fact]
    public void Training_and_evaluation_rows_come_from_their_splits()
    {
        (IReadOnlyList<TrainingExample> training, IReadOnlyList<TrainingExample> evaluation) = Dataset.Open(Evaluating with { MaxEvalSamples = 30 }, new RowReport(false));
        Assert.All(training, row => Assert.StartsWith("train:", row.Uid, StringComparison.Ordinal));
        Assert.All(evaluation, row => Assert.StartsWith("validation:", row.Uid, StringComparison.Ordinal));
        Assert.Equal((240, 30), (training.Count, evaluation.Count));
    }

    [Fact]
    public void Nothing_is_read_for_evaluation_when_there_is_none() => Assert.Empty(Dataset.Open(Evaluating with { EvalStrategy = "no" }, new RowReport(false)).Evaluation);

    [Fact]
    public void The_number_of_training_rows_is_limited_without_limiting_evaluation()
    {
        var configuration = Evaluating with { Dataset = Cells with { MaxSamples = 7 } };
        Assert.Equal((7, 80), (Dataset.Open(configuration, new RowReport(false)).Training.Count, Dataset.Open(configuration, new RowReport(false)).Evaluation.Count));
    }

    [Fact]
    public void An_own_evaluation_set_is_used() => Assert.All(
        Dataset.Open(Evaluating with { EvalDataset = Cells with { Tasks = ["phantom_skin"] } }, new RowReport(false)).Evaluation, row => Assert.Equal("phantom_skin", row.Dataset));

    [Fact]
    public void Prompts_can_be_replaced_from_the_configuration()
    {
        TrainingExample row = Dataset.Open(
            Cells with { PromptOverrides = new Dictionary<string, string> { ["system"] = "Count well." } }, "training", new RowReport(false))[0];
        Assert.Equal(Inputs.ChatRole.System, row.Prompt[0].Role);
    }

    [Fact]
    public void Held_out_rows_are_a_partition_that_keeps_order()
    {
        TrainingExample[] rows = [.. Enumerable.Range(0, 40).Select(index => new TrainingExample("d", $"{index:D2}", [], "a", null))];
        Gen.Select(Gen.Double[0.01, 0.95], Gen.Int[0, 99]).Sample((size, seed) =>
        {
            (IReadOnlyList<TrainingExample> training, IReadOnlyList<TrainingExample> evaluation) = Dataset.HoldOut(rows, size, seed);
            Assert.Equal((int)Math.Ceiling(40 * size), evaluation.Count);
            Assert.Equal(rows, training.Concat(evaluation).OrderBy(row => row.Row, StringComparer.Ordinal));
            Assert.Equal(training.Select(row => row.Row).Order(), training.Select(row => row.Row));
            Assert.Equal(evaluation, Dataset.HoldOut(rows, size, seed).Evaluation);
        });
        Assert.Equal(5, Dataset.HoldOut(rows, 5, 1).Evaluation.Count);
        Assert.NotEqual(Dataset.HoldOut(rows, 5, 1).Evaluation, Dataset.HoldOut(rows, 5, 2).Evaluation);
    }

    [Fact]
    public void Something_must_be_left_to_train_on() =>
        Assert.Contains("nothing is left", Assert.Throws<DatasetException>(() => Dataset.Open(Evaluating with { ValSize = 240 }, new RowReport(false))).Message, StringComparison.Ordinal);

    [Fact]
    public void Another_type_is_an_error() =>
        Assert.Contains("'parquet'", Assert.Throws<DatasetException>(() => Dataset.Open(Cells with { Type = "parquet" }, "training", new RowReport(false))).Message, StringComparison.Ordinal);
}
