using static GemmaCore.Evaluation.Tests.Rows;

namespace GemmaCore.Evaluation.Tests;

/// <summary>The hand cases of flare.md §11 A3 and A4, by the names they have there.</summary>
public class CornerCaseTests
{
    private const string Mae = "regression_mean_absolute_error", F1 = "detection_f1_iou_0.5";

    [Fact]
    public void A4_both_empty_multi_label_is_1() => Assert.Equal(1, Metric(ScoringRules.Flare26, TaskType.MultiLabelClassification, "multi_label_f1_score", ("none", "")));

    [Fact]
    public void A4_one_empty_multi_label_is_0()
    {
        Assert.Equal(0, Metric(ScoringRules.Flare26, TaskType.MultiLabelClassification, "multi_label_f1_score", ("none", "a")));
        Assert.Equal(0, Metric(ScoringRules.Flare26, TaskType.MultiLabelClassification, "multi_label_f1_score", ("a", "no findings")));
    }

    [Fact]
    public void A4_one_group_of_five_numbers_voids_an_answer()
    {
        const string reference = "[[10, 10, 20, 20]]";
        Assert.Equal(1, Metric(ScoringRules.Flare26, TaskType.Detection, F1, (reference, "[10, 10, 20, 20]; done")));
        Assert.Equal(0, Metric(ScoringRules.Flare26, TaskType.Detection, F1, (reference, "[10, 10, 20, 20]; [1, 2, 3, 4, 5]")));
    }

    // Boxes 2 x 1 and 1 x 1 in one corner: exactly one half.
    [Theory]
    [InlineData("flare26", 1)]
    [InlineData("official", 0)]
    [InlineData("flare25", 0)]
    public void A4_an_IoU_of_exactly_one_half_counts_in_2026_only(string rules, double expected) => Assert.Equal(
        expected, Metric(ScoringRules.All.First(one => one.Name == rules), TaskType.Detection, F1, ("[[0, 0, 20, 10]]", "[[0, 0, 10, 10]]")));

    [Fact]
    public void A4_an_IoU_of_exactly_one_half_counts_in_the_challenges_instance_detection() =>
        Assert.Equal(1, InstanceMetric(ScoringRules.Official, "instance_detection_f1_iou_0.5", ("{\"1\": [[0, 0, 20, 10]]}", "{\"1\": [[0, 0, 10, 10]]}")));

    [Fact]
    public void A4_an_unlabelled_prediction_matches_a_labelled_reference()
    {
        Assert.Equal(1, Metric(ScoringRules.Flare26, TaskType.Detection, F1, ("{\"X\": [[0, 0, 10, 10]]}", "[[0, 0, 10, 10]]")));
        Assert.Equal(0, Metric(ScoringRules.Flare26, TaskType.Detection, F1, ("{\"X\": [[0, 0, 10, 10]]}", "{\"Y\": [[0, 0, 10, 10]]}")));
    }

    [Fact]
    public void A4_the_MAE_of_an_unparsable_answer_is_the_reference_in_2026_dropped_in_2025_and_infinite_officially()
    {
        (string, string?)[] rows = [("20.0", "many"), ("10", "12")];
        Assert.Equal(11, Metric(ScoringRules.Flare26, TaskType.Regression, Mae, rows));
        Assert.Equal(2, Metric(ScoringRules.Flare25, TaskType.Regression, Mae, rows));
        Assert.Equal(double.PositiveInfinity, Metric(ScoringRules.Official, TaskType.Regression, Mae, rows));
    }

    [Fact]
    public void A4_parsed_of_total_stands_beside_the_error()
    {
        GroupScore group = new Evaluator(ScoringRules.Flare26, 0, 0).Score(Matched(TaskType.Counting, ("3", "none"), ("4", "4 cells"))).Of(GroupKind.Split).Single();
        Assert.Equal((1, 2), (group.Parsed, group.Rows.Count));
    }

    [Fact]
    public void A3_a_row_without_prediction_is_skipped_officially_and_an_empty_answer_elsewhere()
    {
        (string, string?)[] rows = [("5", "5"), ("7", null)];
        Assert.Equal(0, Metric(ScoringRules.Official, TaskType.Counting, "cell_counting_mean_absolute_error", rows));
        Assert.Equal(3.5, Metric(ScoringRules.Flare26, TaskType.Counting, "cell_counting_mean_absolute_error", rows));
    }

    [Fact]
    public void A3_an_answer_that_is_no_Python_literal_drops_the_row()
    {
        (string, string?)[] rows = [("[[0, 0, 10, 10]]", "[[0, 0, 10, 10]]"), ("[[0, 0, 10, 10]]", "[null]"), ("[[0, 0, 10, 10]]", "no box")];
        Assert.Equal(1, Metric(ScoringRules.Official, TaskType.Detection, "detection_recall_iou_0.5", rows));
    }

    [Fact]
    public void A3_an_answer_that_is_no_list_misses_every_reference()
    {
        (string, string?)[] rows = [("[[0, 0, 10, 10]]", "[[0, 0, 10, 10]]"), ("[[0, 0, 10, 10]]", "None")];
        Assert.Equal(0.5, Metric(ScoringRules.Official, TaskType.Detection, "detection_recall_iou_0.5", rows));
    }

    [Theory]
    [InlineData("([0, 0, 10, 10],)")] // a tuple is no list
    [InlineData("{0, 10}")]
    public void A3_a_tuple_or_a_set_of_boxes_is_no_list_officially(string prediction) =>
        Assert.Equal((0, 1), Counts(ScoringRules.Official, "detection", TaskType.Detection, ("[[0, 0, 10, 10]]", prediction)));

    [Fact]
    public void A3_an_instance_answer_that_was_cut_off_drops_the_row_and_one_that_is_no_object_misses_all()
    {
        const string reference = "{\"1\": [[0, 0, 10, 10], [5, 5, 9, 9]]}";
        Assert.Equal((0, 0), Counts(ScoringRules.Official, "instance_detection", TaskType.Detection, (reference, "{\"1\": [[0, 0, 10, 10], [5, 5")));
        Assert.Equal((0, 2), Counts(ScoringRules.Official, "instance_detection", TaskType.Detection, (reference, "[[0, 0, 10, 10]]")));
        Assert.Equal((0, 2), Counts(ScoringRules.Official, "instance_detection", TaskType.Detection, (reference, "null")));
        Assert.Equal((4, 2), Counts(ScoringRules.Official, "instance_detection", TaskType.Detection, (reference, "{\"1\": [0, 0, 10, 10]}"))); // flat: four entries that are no boxes
    }

    // False positives and false negatives at 0.5.
    private static (double, double) Counts(ScoringRules rules, string task, TaskType type, params (string Reference, string? Prediction)[] rows)
    {
        double Figure(string name) => task == "detection" ? Metric(rules, type, $"{task}_iou_0.5_{name}", rows) : InstanceMetric(rules, $"{task}_iou_0.5_{name}", rows);
        return (Figure("fp"), Figure("fn"));
    }

    [Fact]
    public void A3_a_flat_box_is_four_false_positives() => Assert.Equal(4, Metric(ScoringRules.Official, TaskType.Detection, "detection_iou_0.5_fp", ("[[0, 0, 10, 10]]", "[0, 0, 10, 10]")));

    [Fact]
    public void A3_python_spellings_are_read_officially()
    {
        (string, string?)[] rows = [("[[0, 0, 10, 10]]", "[(0., 0, 1e1, 1_0),]")];
        Assert.Equal(1, Metric(ScoringRules.Official, TaskType.Detection, F1, rows));
        Assert.Equal(1, Metric(ScoringRules.Official, TaskType.Regression, Mae, ("1", " 2.0 ")));
        Assert.Equal(double.PositiveInfinity, Metric(ScoringRules.Official, TaskType.Regression, Mae, ("1", "2 mm")));
    }

    [Fact]
    public void A_label_with_commas_falls_into_three_on_both_sides() => Assert.Equal(1, Metric(
        ScoringRules.Flare26, TaskType.MultiLabelClassification, "multi_label_f1_score",
        ("Endodontic Treatment, Restorative Treatment, and Complications", "restorative treatment, and complications, endodontic treatment")));

    [Fact]
    public void An_answer_of_250_digits_gives_a_finite_error_and_root()
    {
        (string, string?)[] rows = [("0", "2469" + new string('0', 246)), ("3", "3")];
        double mae = Metric(ScoringRules.Flare26, TaskType.Counting, "cell_counting_mean_absolute_error", rows);
        double rmse = Metric(ScoringRules.Flare26, TaskType.Counting, "cell_counting_root_mean_squared_error", rows);
        Assert.Equal(1, mae / 1.2345e249, 1e-12);
        Assert.Equal(Math.Sqrt(2), rmse / mae, 1e-12);
    }

    [Theory]
    [InlineData("detection", "{\"side\": \"left\"}")]
    [InlineData("regression", "many")]
    public void A_reference_that_cannot_be_read_ends_the_2026_run_and_names_its_row(string task, string reference)
    {
        EvaluationException error = Assert.Throws<EvaluationException>(() => new Evaluator(ScoringRules.Flare26, 0, 0).Score(Matched(TaskTypes.Parse(task)!.Value, (reference, "1"))));
        Assert.StartsWith("file: row 0: ", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("B. Standard plane", 0)]
    [InlineData(" b ", 1)]
    public void No_letter_is_extracted_in_2026(string prediction, double expected) =>
        Assert.Equal(expected, Metric(ScoringRules.Flare26, TaskType.Classification, "classification_accuracy", ("B", prediction)));

    [Fact]
    public void All_figures_of_2025_are_0_where_references_and_predictions_hold_two_classes()
    {
        Assert.Equal(0, Metric(ScoringRules.Flare25, TaskType.Classification, "balanced_accuracy", ("A", "A"), ("B", "B")));
        Assert.Equal(0.5, Metric(ScoringRules.Flare25, TaskType.Classification, "balanced_accuracy", ("A", "A"), ("B", "C")));
        Assert.Equal(1, Metric(ScoringRules.Flare25, TaskType.Classification, "balanced_accuracy", ("A", "A"), ("B", "B)"), ("C", "Answer: C")));
    }

    [Theory]
    [InlineData("A fracture is seen", "A")] // the English article
    [InlineData("The answer is F", "F")] // by the last word only
    [InlineData("ASSISTANT: c.", "C")]
    [InlineData("user\nit is K!", "k!")]
    [InlineData("model said assistant\nAnswer: d.", "D")]
    [InlineData("Luminal b.", "B")]
    public void Classes_of_2025(string prediction, string expected) => Assert.Equal(expected, Flare25Answers.PredictedClass(prediction));

    [Fact]
    public void Nothing_left_is_an_infinite_error_and_0_elsewhere_in_2025()
    {
        Assert.Equal(double.PositiveInfinity, Metric(ScoringRules.Flare25, TaskType.Counting, "cell_counting_mean_absolute_error", ("3", "To count the cells, 12 steps")));
        Assert.Equal(0, Metric(ScoringRules.Flare25, TaskType.MultiLabelClassification, "multi_label_f1_score", ("", "a")));
    }

    [Theory]
    [InlineData("The count is 12, at least 3 fields", 12)]
    [InlineData("between 40 and 60", 60)]
    [InlineData("154 cells visible, total 3", 3)] // the first of the patterns that finds anything decides
    [InlineData("We need to look at 40 cells", null)]
    [InlineData("step 12 then 9", null)] // of the step's number the scorer sees the 2
    [InlineData("0.5", 0)]
    [InlineData("7", 7)]
    [InlineData("3 or 4", null)]
    public void Counts_of_2025(string prediction, int? expected) => Assert.Equal(expected, (int?)Flare25Answers.Count(prediction));

    [Theory]
    [InlineData("[[1, 2, 3, 4], [5, 6, 7, 8]]", 2)]
    [InlineData("[[1, 2, 3, 4]] and [5, 6, 7, 8]", 1)] // one box in double brackets goes before everything else
    [InlineData("[[1.5, 2.5, 3.5, 4.5]]", null)] // whole numbers only
    [InlineData("{\"1\": [[1.5, 2, 3, 4]]}", 1)] // but cut to whole pixels in an object
    public void Boxes_of_2025(string prediction, int? expected) => Assert.Equal(expected, Flare25Answers.Boxes(prediction)?.Count);

    [Theory]
    [InlineData("image 3: 33.5 % resorption", 33.5)]
    [InlineData("-2.5 mm", -2.5)]
    [InlineData("5. or 7", 5)]
    public void Quantities_of_2025(string prediction, double expected) => Assert.Equal(expected, Flare25Answers.Quantity(prediction));
}
