using System.IO.Compression;
using System.Text.Json.Nodes;
using GemmaCore.Inputs;
using GemmaCore.Training.Datasets;
using GemmaCore.Training.Flare;

namespace GemmaCore.Training.Tests.Flare;

public sealed class FlareConversionTests : IDisposable
{
    // The fields of the 2026 baseline's rows, in its order (flare.md §3.4).
    private static readonly string[] Fields =
    [
        "split", "source", "case_id", "uid", "volume_path", "image_path", "image", "images", "modality", "task_type", "metric", "subtask", "qid", "follow_up", "question_type", "prompt", "question",
        "answer", "choices", "raw_answer", "messages",
    ];

    private readonly FlareTree _tree = new();

    public void Dispose() => _tree.Dispose();

    private string Out => _tree.PathOf("converted");

    private ConversionResult Convert(PromptSet? prompts = null, RowReport? report = null, bool allowMissing = false) =>
        new FlareConversion(_tree.Root, Out, prompts ?? PromptSet.Flare26, report ?? new RowReport(false), allowMissing, FlareArchive.DefaultMaxBytes).Run();

    private JsonNode[] Rows(string name) => [.. File.ReadLines(Path.Combine(Out, name)).Select(line => JsonNode.Parse(line)!)];

    private void WriteAllSplits()
    {
        _tree.Picture("training/Microscopy/bone_marrow/imagesTr/bone_marrow_00001.jpg");
        _tree.Write("training/Microscopy/bone_marrow/bone_marrow_questions_train.json", """
            [{"TaskType":"classification","Modality":"microscopy","ImageName":"imagesTr/bone_marrow_00001.jpg","Question":"Which? Options: A: a B: b","Answer":"K","Split":"train"}]
            """);
        _tree.Picture("validation-public/Retinography/retino/imagesVal/Retino_7 (copy).jpg", 1);
        _tree.Write("validation-public/Retinography/retino/retino_questions_val.json", """
            [{"TaskType":"Classification","Modality":"Fundus","ImageName":"imagesVal/Retino_7 (copy).jpg","Question":"Grade?","Answer":"A","Split":"val"},
             {"TaskType":"Classification","Modality":"Fundus","ImageName":"imagesVal/Retino_7 (copy).jpg","Question":"Again?","Answer":null,"Split":"val"}]
            """);
        _tree.Picture("validation-hidden/Microscopy/chromosome/imagesVal/Chrm_1.jpg", 2);
        _tree.Write("validation-hidden/Microscopy/chromosome/chromosome_questions_val.json", """
            [{"TaskType":"instance_detection","Modality":"Microscopy","ImageName":["imagesVal/Chrm_1.jpg"],"Question":"Find all","Answer":"","Split":"validation"}]
            """);
        _tree.Write("validation-hidden/Microscopy/chromosome/chromosome_questions_val_withGT.json", "never read");
        _tree.Picture("testing/Xray/boneresorption/imagesTs/boneresorption_3.jpg", 3);
        _tree.Write("testing/Xray/boneresorption/boneresorption_questions_test.json", """
            [{"TaskType":"Regression","Modality":"X-Ray","ImageName":"imagesTs/boneresorption_3.jpg","Question":"ABR?","Answer":20.0,"Split":"validation"}]
            """);
    }

    [Fact]
    public void A6_uids_of_a_synthetic_tree_follow_the_pattern_of_the_published_files()
    {
        WriteAllSplits();
        ConversionResult result = Convert();
        Assert.Equal(["testing.jsonl", "train.jsonl", "validation.jsonl", "validation_hidden.jsonl"], result.Rows.Keys.Order(StringComparer.Ordinal));
        Assert.Equal("train:bone_marrow:bone_marrow_questions_train:bone_marrow_00001:disease_diagnosis_classification:0", (string?)Rows("train.jsonl")[0]["uid"]);
        Assert.Equal("validation:retino:retino_questions_val:Retino_7_copy:disease_diagnosis_classification:0", (string?)Rows("validation.jsonl")[0]["uid"]);
        Assert.Equal("validation_hidden:chromosome:chromosome_questions_val:Chrm_1:detection:0", (string?)Rows("validation_hidden.jsonl")[0]["uid"]);
        Assert.Equal("testing:boneresorption:boneresorption_questions_test:boneresorption_3:regression:0", (string?)Rows("testing.jsonl")[0]["uid"]);
    }

    [Theory]
    [InlineData("\"ID\":\"p 7/a\"", "p_7_a", "p 7/a")] // an id names the case and the question
    [InlineData("\"id\":12", "12", "12")]
    [InlineData("\"qid\":\"q3\"", "q3", "q3")]
    [InlineData("\"case_id\":\"c1\",\"question_id\":\"q9\"", "c1", "q9")]
    [InlineData("\"case_id\":\"é\"", "unknown", "0")] // nothing is left of it
    public void A6_ids_of_a_row_name_case_and_question(string fields, string caseId, string questionId)
    {
        _tree.Write("training/Xray/dental/q.json", $$"""[{"TaskType":"Classification","Question":"?","Answer":"A",{{fields}}}]""");
        Convert();
        Assert.Equal($"train:dental:q:{caseId}:disease_diagnosis_classification:{questionId}", (string?)Rows("train.jsonl")[0]["uid"]);
    }

    [Fact]
    public void Two_rows_of_one_id_are_refused_and_reported()
    {
        _tree.Write("training/Xray/dental/q.json", """[{"TaskType":"Classification","Question":"?","Answer":"A","ID":7},{"TaskType":"Classification","Question":"Again?","Answer":"B","ID":7}]""");
        Assert.Contains("q.json: row 1: another row has the same name, 'train:dental:q:7:disease_diagnosis_classification:7'", Assert.Throws<DatasetException>(() => Convert()).Message, StringComparison.Ordinal);
        Assert.Equal(1, Convert(report: new RowReport(Skip: true)).Rows["train.jsonl"]);
        Assert.Equal("row named twice", Assert.Single(FlareReport.Of(_tree.Root, null, PromptSet.Question).Faults).Kind);
    }

    [Theory]
    [InlineData("training/Xray/dental/q.json", "Xray")] // the category's folder
    [InlineData("training/dental/q.json", "medical image")]
    public void A_row_without_a_modality_is_asked_as_the_baseline_asks(string file, string modality)
    {
        _tree.Write(file, """[{"TaskType":"multilabel","Question":"?","Answer":"A"}]""");
        Convert();
        Assert.Equal($"Identify all applicable findings or labels in this {modality} image. Select all that apply.\nQuestion: ?", (string?)Rows("train.jsonl")[0]["prompt"]);
    }

    [Fact]
    public void Folders_above_the_data_do_not_name_the_split()
    {
        _tree.Write("test/hidden/flare/training/Xray/dental/q.json", """[{"TaskType":"Classification","Question":"?","Answer":"A","Split":"train"}]""");
        new FlareConversion(_tree.PathOf("test/hidden/flare"), Out, PromptSet.Flare26, new RowReport(false), false, FlareArchive.DefaultMaxBytes).Run();
        Assert.StartsWith("train:dental:", (string?)Rows("train.jsonl")[0]["uid"], StringComparison.Ordinal);
    }

    [Fact]
    public void Rows_have_the_baselines_fields()
    {
        WriteAllSplits();
        Assert.Equal(1, Convert().WithoutAnswer);
        Assert.All((string[])["train", "validation", "validation_hidden", "testing"], name => Assert.All(Rows(name + ".jsonl"), row => Assert.Equal(Fields, row.AsObject().Select(field => field.Key))));
        JsonNode row = Rows("testing.jsonl")[0];
        Assert.Equal("20.0", row["raw_answer"]!.ToJsonString());
        Assert.Equal(("mean_absolute_error", "", (string?)row["image"]), ((string?)row["metric"], (string?)row["follow_up"], (string?)row["volume_path"]));
        Assert.Empty(row["choices"]!.AsArray());
        Assert.Equal("Return only the requested numeric value, preserving units if present.\nQuestion: ABR?", (string?)row["prompt"]);
        Assert.Equal(["system", "user", "assistant"], row["messages"]!.AsArray().Select(message => (string?)message!["role"]));
        Assert.Equal("", (string?)Rows("validation_hidden.jsonl")[0]["answer"]);
        JsonNode description = JsonNode.Parse(File.ReadAllText(Path.Combine(Out, "dataset_info.json")))!;
        Assert.Equal(1, (int)description["splits"]!["testing"]!["datasets"]!["boneresorption"]!);
    }

    [Fact]
    public void Training_says_the_same_words_from_converted_rows_as_from_the_folder()
    {
        WriteAllSplits();
        Convert();
        foreach (PromptSet prompts in (PromptSet[])[PromptSet.Flare25, PromptSet.Flare26, PromptSet.Question])
        {
            foreach (string split in (string[])["training", "validation-hidden", "testing"])
            {
                TrainingExample direct = FlareDataset.Read(_tree.Root, split, [], prompts, new RowReport(false))[0], converted = FlareDataset.Read(Out, split, [], prompts, new RowReport(false))[0];
                Assert.Equal((direct.Uid, direct.Dataset, direct.Answer, direct.Task), (converted.Uid, converted.Dataset, converted.Answer, converted.Task));
                Assert.Equal(direct.Prompt.SelectMany(message => message.Content), converted.Prompt.SelectMany(message => message.Content));
            }
        }

        IReadOnlyList<TrainingExample> messages = ConversationDatasets.ReadMessages(Path.Combine(Out, "train.jsonl"), new RowReport(false));
        Assert.Equal(FlareDataset.Read(_tree.Root, "training", [], PromptSet.Flare26, new RowReport(false))[0].Prompt.SelectMany(message => message.Content), messages[0].Prompt.SelectMany(message => message.Content));
    }

    [Fact]
    public void Converted_rows_are_chosen_by_data_set()
    {
        WriteAllSplits();
        Convert();
        Assert.Single(FlareDataset.Read(Out, "training", ["bone_marrow"], PromptSet.Question, new RowReport(false)));
        Assert.Contains("did you mean bone_marrow?", Assert.Throws<DatasetException>(() => FlareDataset.Read(Out, "training", ["bone_marow"], PromptSet.Question, new RowReport(false))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Archives_are_unpacked_below_the_output_and_the_source_stays_as_it_is()
    {
        Directory.CreateDirectory(_tree.PathOf("training/Xray/dental"));
        using (ZipArchive zip = ZipFile.Open(_tree.PathOf("training/Xray/dental/imagesTr.zip"), ZipArchiveMode.Create))
        {
            using Stream stream = zip.CreateEntry("imagesTr/PXMT_1.jpg").Open();
            stream.Write(FlareTree.PictureBytes());
        }

        _tree.Write("training/Xray/dental/dental_questions_train.json", """[{"TaskType":"Classification","ImageName":"imagesTr/PXMT_1.jpg","Question":"?","Answer":"A"}]""");
        Assert.Equal(1, Convert().Unpacked);
        Assert.Equal("images/train/dental/imagesTr/PXMT_1.jpg", (string?)Rows("train.jsonl")[0]["image"]);
        Assert.Equal(["dental_questions_train.json", "imagesTr.zip"], Directory.EnumerateFileSystemEntries(_tree.PathOf("training/Xray/dental")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        // Read from the output: the picture is found from there.
        Assert.True(File.Exists(FlareDataset.Read(Out, "training", [], PromptSet.Question, new RowReport(false))[0].Prompt[^1].Content.OfType<ImagePart>().Single().Image.Path));
    }

    [Fact]
    public void A_missing_picture_stops_is_skipped_or_kept()
    {
        _tree.Write("training/Xray/dental/q.json", """[{"TaskType":"Classification","ImageName":"imagesTr/gone.jpg","Question":"?","Answer":"A"},{"TaskType":"Classification","Question":"?","Answer":"A"}]""");
        Assert.Contains("row 0: image 'imagesTr/gone.jpg' not found", Assert.Throws<DatasetException>(() => Convert()).Message, StringComparison.Ordinal);
        var report = new RowReport(Skip: true);
        Assert.Equal(1, Convert(report: report).Rows["train.jsonl"]);
        Assert.Single(report.Skipped);
        Assert.Equal(2, Convert(allowMissing: true).Rows["train.jsonl"]);
    }

    [Fact]
    public void A_picture_in_another_case_is_taken_where_only_one_can_be_meant()
    {
        string small = _tree.Picture("training/Xray/dental/imagesTr/a.JPG");
        Assert.Equal(small, new FlareImages(_tree.PathOf("training/Xray/dental")).Find("imagesTr/A.jpg"));
        _tree.Picture("training/Xray/dental/imagesTr/A.JPG", 1);
        Assert.Null(new FlareImages(_tree.PathOf("training/Xray/dental")).Find("imagesTr/A.jpg"));
    }

    [Fact]
    public void A_folder_without_splits_says_what_was_expected() => Assert.Contains("expected training, validation-public", Assert.Throws<DatasetException>(() => Convert()).Message, StringComparison.Ordinal);
}
