using CsCheck;

namespace GemmaCore.Evaluation.Tests;

public class TaskMetricTests
{
    [Fact]
    public void Accuracy_compares_normalised_text_and_extracts_no_letter()
    {
        MetricResult result = TaskMetric.Score(TaskType.Classification, [("B", " b "), ("B", "B. Standard plane"), ("A", "C"), ("Luminal b", "luminal  B")]);
        Assert.Equal(new MetricResult("classification_accuracy", 0.5, 4, 4, false), result);
    }

    [Theory]
    [InlineData("none", "", 1)] // both empty
    [InlineData("a", "none", 0)]
    [InlineData("none", "a", 0)]
    [InlineData("a; b", "b; a", 1)]
    [InlineData("a; b", "a", 2.0 / 3)] // precision 1, recall 1/2
    [InlineData("a; b; c", "b; c; d; e", 4.0 / 7)] // precision 2/4, recall 2/3
    public void Multi_label_f1_of_one_row(string reference, string prediction, double expected) =>
        Assert.Equal(expected, TaskMetric.MultiLabelF1([(reference, prediction)]).Value, 1e-15);

    [Fact]
    public void Multi_label_f1_is_the_mean_over_rows() => Assert.Equal(0.5, TaskMetric.MultiLabelF1([("a", "a"), ("a", "b")]).Value);

    [Theory]
    [InlineData("[[0, 0, 2, 1]]", "[0, 0, 1, 1]", 1)] // an IoU of exactly 0.5 counts
    [InlineData("[[0, 0, 2, 1]]", "[0, 0, 0.99, 1]", 0)]
    [InlineData("[[0, 0, 1, 1]]", "[[0, 0, 1, 1], [5, 5, 6, 6]]", 2.0 / 3)]
    [InlineData("[[0, 0, 1, 1]]", "[[0, 0, 1, 1], [0, 0, 1, 1]]", 2.0 / 3)] // one reference, one hit
    [InlineData("[[0, 0, 1, 1]]", "[0, 0, 1, 1]; [0, 0, 1, 1, 5]", 0)] // one group of five voids the answer
    [InlineData("{\"X\": [[0, 0, 1, 1]]}", "[[0, 0, 1, 1]]", 1)] // unlabelled matches labelled
    [InlineData("{\"X\": [[0, 0, 1, 1]]}", "{\"Y\": [[0, 0, 1, 1]]}", 0)]
    public void Detection_f1_of_one_row(string reference, string prediction, double expected) =>
        Assert.Equal(expected, TaskMetric.Score(TaskType.Detection, [(reference, prediction)]).Value, 1e-15);

    [Fact]
    public void Detection_takes_the_best_pair_first()
    {
        // The first prediction overlaps both references, the second one only the first: greedy by IoU leaves both matched.
        MetricResult result = TaskMetric.DetectionF1([("[[0, 0, 10, 10], [0, 0, 10, 14]]", "[[0, 0, 10, 13], [0, 0, 10, 9]]")], 0.5);
        Assert.Equal(1, result.Value);
    }

    [Fact]
    public void Detection_counts_are_summed_over_rows_and_unreadable_answers_are_counted()
    {
        MetricResult result = TaskMetric.DetectionF1([("[0, 0, 1, 1]", "[0, 0, 1, 1]"), ("[[0, 0, 1, 1], [2, 2, 3, 3]]", "nothing")], 0.3);
        Assert.Equal(new MetricResult("f1_iou_0.3", 0.5, 2, 1, false), result); // 2·1 / (3 references + 1 prediction)
    }

    [Fact]
    public void An_unreadable_reference_ends_the_scoring()
    {
        Assert.Contains("'left'", Assert.Throws<FormatException>(() => TaskMetric.Score(TaskType.Detection, [("left", "[0,0,1,1]")])).Message, StringComparison.Ordinal);
        Assert.Contains("'few'", Assert.Throws<FormatException>(() => TaskMetric.Score(TaskType.Counting, [("few", "1")])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(TaskType.Counting)]
    [InlineData(TaskType.Regression)]
    public void An_answer_without_a_number_costs_the_whole_reference_and_is_counted(TaskType task)
    {
        MetricResult result = TaskMetric.Score(task, [("10", "12"), ("20", "I cannot say"), ("3.5", "{\"value\": 3}")]);
        Assert.Equal(new MetricResult("mean_absolute_error", (2 + 20 + 0.5) / 3, 3, 2, true), result);
    }

    [Fact]
    public void Reports_are_scored_by_exact_match() =>
        Assert.Equal(0.5, TaskMetric.Score(TaskType.ReportGeneration, [("No bleeding.", " No bleeding.\n"), ("No bleeding.", "no bleeding.")]).Value);

    [Fact]
    public void Rows_with_a_blank_reference_are_left_out() => Assert.Equal(1, TaskMetric.Score(TaskType.Counting, [("", "3"), ("4", "4"), (" ", "x")]).Rows);

    [Fact]
    public void No_rows_score_zero_of_zero()
    {
        foreach (TaskType task in Enum.GetValues<TaskType>())
        {
            MetricResult result = TaskMetric.Score(task, []);
            Assert.Equal((0.0, 0, 0), (result.Value, result.Rows, result.Parsed));
        }
    }

    [Fact]
    public void Rates_lie_between_0_and_1_and_do_not_depend_on_the_order_of_rows()
    {
        Gen<string> labels = Gen.Char["abc"].List[1, 3].Select(items => string.Join(';', items));
        Gen<string> boxes = Gen.Int[0, 6].Array[4].List[0, 3].Select(items => "[" + string.Join(", ", items.Select(box => $"[{string.Join(", ", box)}]")) + "]");
        foreach ((TaskType task, Gen<string> text) in new[] { (TaskType.MultiLabelClassification, labels), (TaskType.Detection, boxes), (TaskType.Classification, labels) })
        {
            Gen.Select(text, text).List[1, 5].Sample(rows =>
            {
                double value = TaskMetric.Score(task, rows).Value;
                rows.Reverse();
                return value is >= 0 and <= 1 && Math.Abs(value - TaskMetric.Score(task, rows).Value) < 1e-12;
            });
        }
    }

    [Fact]
    public void A_perfect_prediction_scores_full()
    {
        Gen.Int[0, 9].Array[4].Select(box => new[] { box[0], box[1], box[0] + 1 + box[2], box[1] + 1 + box[3] }).List[1, 4].Sample(boxes =>
        {
            string text = "[" + string.Join(", ", boxes.Select(box => $"[{string.Join(", ", box)}]")) + "]";
            return TaskMetric.Score(TaskType.Detection, [(text, text)]).Value == 1;
        });
    }
}
