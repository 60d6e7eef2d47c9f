using System.Text.Json.Nodes;
using static GemmaCore.Evaluation.Tests.Rows;

namespace GemmaCore.Evaluation.Tests;

public class EvaluatorTests
{
    private static readonly EvaluationRow[] TwoSplits =
    [
        .. Enumerable.Range(0, 40).Select(i => Row(TaskType.Regression, "10", i % 2 == 0 ? "12" : "10", i, "testing", "bones")),
        .. Enumerable.Range(0, 10).Select(i => Row(TaskType.Regression, "10", "14", i, "validation_hidden", "teeth")),
    ];

    [Fact]
    public void Figures_are_pooled_in_a_split_and_averaged_over_splits()
    {
        JsonObject scores = ScoreFiles.Scores(new Evaluator(ScoringRules.Flare26, 0, 0).Score(Matched(TwoSplits)));
        Assert.Equal(["mean", "per_split"], scores.Select(entry => entry.Key));
        Assert.Equal(1, (double)scores["per_split"]!["testing"]!["regression_mean_absolute_error"]!);
        Assert.Equal(4, (double)scores["per_split"]!["validation_hidden"]!["regression_mean_absolute_error"]!);
        Assert.Equal(2.5, (double)scores["mean"]!["regression_mean_absolute_error"]!);
    }

    [Fact]
    public void Published_metrics_have_all_their_names()
    {
        EvaluationRow[] rows = [Row(TaskType.Detection, "[[0,0,9,9]]", "[[0,0,9,9]]"), Row(TaskType.MultiLabelClassification, "a", "a", 1), Row(TaskType.Classification, "A", "A", 2)];
        JsonObject mean = ScoreFiles.Scores(new Evaluator(ScoringRules.Flare26, 0, 0).Score(Matched(rows)))["mean"]!.AsObject();
        string[] names =
        [
            "balanced_accuracy", "classification_accuracy", "classification_f1_score", "f1_score", "multi_label_f1_score", "multi_label_precision", "multi_label_recall", "f1_iou_0.5", "detection_f1_iou_0.5",
            "detection_precision_iou_0.5", "detection_recall_iou_0.5", "detection_f1_iou_0.3", "detection_precision_iou_0.3", "detection_recall_iou_0.3", "detection_average_f1", "detection_average_precision",
            "detection_average_recall", "detection_iou_0.4_f1_score", "detection_iou_0.7_precision", "detection_iou_0.6_recall", "detection_iou_0.5_tp", "detection_iou_0.3_fp", "detection_iou_0.3_fn",
        ];
        Assert.All(names, name => Assert.True(mean.ContainsKey(name), name));
    }

    [Fact]
    public void Details_begin_in_the_baselines_layout()
    {
        EvaluationRow[] rows = [.. TwoSplits, Row(TaskType.Detection, "[[0,0,9,9]]", "[[0,0,9,9]]", 99), Row(TaskType.Counting, "1", "1", 98, "validation_hidden")];
        JsonObject details = ScoreFiles.Details(new Evaluator(ScoringRules.Flare26, 0, 0).Score(Matched(rows)), []);
        Assert.Equal(["metrics", "mean_metrics", "by_task", "split_results", "num_rows", "num_splits", "num_tasks"], details.Take(7).Select(entry => entry.Key));
        Assert.Equal((52, 2, 3), ((int)details["num_rows"]!, (int)details["num_splits"]!, (int)details["num_tasks"]!));
        JsonNode task = details["by_task"]!["regression"]!;
        Assert.Equal(("mean_absolute_error", 2.5, 50, 1.0), ((string?)task["metric"], (double)task["value"]!, (int)task["count"]!, (double)task["per_split"]!["testing"]!));
        Assert.Equal(["f1_iou_0.5", "mean_absolute_error"], details["split_results"]!["testing"]!["by_task"]!.AsObject().Select(entry => (string?)entry.Value!["metric"]).Order(StringComparer.Ordinal));
        Assert.Equal(1, (double)details["split_results"]!["testing"]!["metrics"]!["f1_iou_0.5"]!);
        Assert.Equal(2.5, (double)details["mean_metrics"]!["regression_mean_absolute_error"]!);
    }

    [Fact]
    public void An_infinite_error_is_written_as_text() => Assert.Equal(
        "Infinity", (string?)ScoreFiles.Scores(new Evaluator(ScoringRules.Official, 0, 0).Score(Matched(TaskType.Regression, ("1", "x"))))["mean"]!["regression_mean_absolute_error"]);

    [Fact]
    public void The_same_seed_gives_the_same_intervals_and_another_one_others()
    {
        EvaluationRow[] rows = [.. Enumerable.Range(0, 50).Select(i => Row(TaskType.Regression, "10", $"{10 + Math.Sqrt(i)}", i))];
        MetricValue Mean(int seed) => new Evaluator(ScoringRules.Flare26, 200, seed).Score(Matched(rows)).Mean[0];
        Assert.Equal(Mean(1), Mean(1));
        Assert.NotEqual(Mean(1).Interval, Mean(2).Interval);
        Assert.InRange(Mean(1).Value, Mean(1).Interval!.Value.Low, Mean(1).Interval!.Value.High);
    }

    // The mean of n rows of 0 and 2 has a standard error of 1/sqrt(n).
    [Fact]
    public void An_interval_is_as_wide_as_the_standard_error_says()
    {
        EvaluationRow[] rows = [.. Enumerable.Range(0, 400).Select(i => Row(TaskType.Regression, "10", i % 2 == 0 ? "12" : "10", i))];
        Interval interval = new Evaluator(ScoringRules.Flare26, 4000, 5).Score(Matched(rows)).Mean[0].Interval!.Value;
        const double standardError = 1 / 20.0;
        Assert.Equal(2 * 1.96 * standardError, interval.High - interval.Low, 0.02);
    }

    [Fact]
    public void Compared_files_share_their_resamples()
    {
        MatchedRows one = Matched(TwoSplits), better = Matched(TwoSplits.Select(row => row with { Prediction = row.Prediction == "10" ? "10" : "11" }));
        MetricValue same = new Evaluator(ScoringRules.Flare26, 300, 1).Score(one, one).Mean[0];
        Assert.Equal((0.0, 0.0), (same.Difference!.Value.Low, same.Difference.Value.High));
        MetricValue metric = new Evaluator(ScoringRules.Flare26, 300, 1).Score(one, better).Mean[0];
        Assert.Equal(1.75, metric.Value - metric.Other!.Value, 1e-12);
        Assert.True(metric.Difference!.Value.Low > 0);
        // Every error is at least half of the other file's, so pairing must show a difference far narrower than the metric's own interval allows.
        Assert.True(metric.Difference.Value.High - metric.Difference.Value.Low < metric.Interval!.Value.High - metric.Interval.Value.Low);
    }

    [Fact]
    public void Modalities_are_joined_across_spellings() => Assert.Equal("xray", Evaluator.Modality("X-Ray"));

    [Fact]
    public void Reports_are_counted_as_not_scored() =>
        Assert.Equal([("report_generation", 1)], new Evaluator(ScoringRules.Flare26, 0, 0).Score(Matched([Row(TaskType.ReportGeneration, "Normal.", "Normal."), Row(TaskType.Counting, "1", "1")])).Unscored);

    [Fact]
    public void Confusion_matrices_keep_foreign_texts_in_a_column_of_their_own()
    {
        ConfusionMatrix matrix = Assert.Single(ConfusionMatrix.Of(new Evaluator(ScoringRules.Flare26, 0, 0).Score(Matched(TaskType.Classification, ("A", "A"), ("A", "b"), ("B", "perhaps")))));
        Assert.Equal(["a", "b"], matrix.Labels);
        Assert.Equal([[1, 1, 0], [0, 0, 1]], matrix.Counts);
    }

    [Fact]
    public void The_table_of_labels_matches_inside_each_label()
    {
        EvaluationResult result = new Evaluator(ScoringRules.Flare26, 0, 0).Score(Matched(TaskType.Detection, ("{\"X\": [[0,0,9,9]], \"Y\": [[0,0,9,9]]}", "{\"X\": [[0,0,9,9]]}"), ("[[0,0,9,9]]", "[[50,50,60,60]]")));
        Assert.Equal([("__unlabeled__", 0, 1, 1), ("x", 1, 0, 0), ("y", 0, 0, 1)], LabelTable.Of(result, "testing").Select(one => (one.Label, one.Found, one.Invented, one.Missed)));
    }

    [Fact]
    public void Tables_quote_what_needs_it()
    {
        using var writer = new StringWriter();
        CsvTables.WriteRows(new Evaluator(ScoringRules.Flare26, 0, 0).Score(Matched(TaskType.Classification, ("a, \"b\"", "line\nbreak"))), writer);
        Assert.Equal("testing:set:file:case_000000:disease_diagnosis_classification:0,testing,set,X-ray,disease_diagnosis_classification,\"a, \"\"b\"\"\",line break,true,0", writer.ToString().Split('\n')[1]);
    }

    [Fact]
    public void A_page_is_whole_by_itself_and_escapes_what_it_shows()
    {
        string page = EvaluationPage.Of(new Evaluator(ScoringRules.Flare26, 50, 0).Score(Matched(TaskType.Classification, ("A", "<script>alert(1)</script>"), ("B", "B"))), "<p>.json", "other.json");
        Assert.DoesNotContain("<script", page, StringComparison.Ordinal);
        Assert.DoesNotContain("http", page.Replace("http-equiv", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Contains("&lt;p&gt;.json", page, StringComparison.Ordinal);
        Assert.Contains("prefers-color-scheme: dark", page, StringComparison.Ordinal);
    }
}
