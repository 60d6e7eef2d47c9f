using GemmaCore.Evaluation;
using GemmaCore.Inputs;
using GemmaCore.Testing;
using GemmaCore.Testing.Fuzz;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training.Tests.Datasets;

public sealed class FlareDatasetTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("gemmacore-flare-").FullName;

    private static readonly string Demo = Goldens.DemoPath("data");

    private static IReadOnlyList<TrainingExample> Parse(string json, PromptSet? prompts = null, RowReport? report = null, int maxImages = 0) => FlareDataset.Parse(
        System.Text.Encoding.UTF8.GetBytes(json), "file_train.json", "set", name => name == "missing.jpg" ? null : "/images/" + Path.GetFileName(name),
        prompts ?? PromptSet.Question, report ?? new RowReport(false), maxImages);

    private static string TextOf(TrainingExample example) => Assert.IsType<TextPart>(example.Prompt[^1].Content[^1]).Text;

    private void Write(string path, string text)
    {
        string file = Path.Combine(_root, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }

    [Fact]
    public void The_embedded_data_is_read_whole()
    {
        IReadOnlyList<TrainingExample> rows = FlareDataset.Read(Demo, "validation-public", [], PromptSet.Question, new RowReport(false));
        Assert.Equal(9, rows.Select(row => row.Dataset).Distinct().Count());
        Assert.Equal(80, rows.Count(row => row.Dataset == "phantom_cells"));
        Assert.Equal(6, rows.Select(row => row.Task).Distinct().Count());
        Assert.Equal(rows.Count, rows.Select(row => row.Uid).Distinct().Count());
        Assert.All(rows, row => Assert.True(File.Exists(row.Prompt[^1].Content.OfType<ImagePart>().Single().Image.Path)));
        Assert.All(rows, row => Assert.NotNull(row.Answer));
    }

    [Fact]
    public void Rows_carry_the_baselines_uid()
    {
        TrainingExample row = FlareDataset.Read(Demo, "validation-public", ["phantom_cells"], PromptSet.Question, new RowReport(false))[0];
        string stem = Path.GetFileNameWithoutExtension(row.Prompt[0].Content.OfType<ImagePart>().Single().Image.Path!);
        Assert.Equal($"validation:phantom_cells:phantom_cells_questions_val:{stem}:cell_counting:0", row.Uid);
        Assert.Equal("train:set:file_train:c_1:detection:q", Parse("""[{"TaskType":"Detection","Question":"?","CaseID":"c/1","qid":"q","Split":"train"}]""")[0].Uid);
    }

    [Theory]
    [InlineData("hidden/x/imagesVal/q.json", "validation", "validation_hidden")]
    [InlineData("testing/x/q.json", "train", "testing")]
    [InlineData("validation-public/x/q.json", "val", "validation")]
    [InlineData("training/x/q.json", "", "train")]
    public void Hidden_and_testing_folders_overrule_the_rows_split(string file, string split, string expected) => Assert.StartsWith(
        expected + ":",
        FlareDataset.Parse(System.Text.Encoding.UTF8.GetBytes($$"""[{"Question":"?","Split":"{{split}}"}]"""), file, "x", _ => null, PromptSet.Question, new RowReport(false))[0].Uid,
        StringComparison.Ordinal);

    [Fact]
    public void Tasks_choose_data_sets_or_task_types()
    {
        var report = new RowReport(false);
        Assert.All(FlareDataset.Read(Demo, "training", ["phantom_cells"], PromptSet.Question, report), row => Assert.Equal("phantom_cells", row.Dataset));
        string[] counting = [.. FlareDataset.Read(Demo, "training", ["cell_counting"], PromptSet.Question, report).Select(row => row.Dataset).Distinct()];
        Assert.Equal(["phantom_cells", "phantom_mammo"], counting.Order());
    }

    [Fact]
    public void An_unknown_task_is_an_error_that_names_the_nearest() => Assert.Contains(
        "did you mean phantom_breast?",
        Assert.Throws<DatasetException>(() => FlareDataset.Read(Demo, "training", ["phantom_cells", "phantom_brest"], PromptSet.Question, new RowReport(false))).Message,
        StringComparison.Ordinal);

    [Fact]
    public void Splits_are_found_under_every_spelling()
    {
        Write("train/Xray/a/a_questions_train.json", """[{"Question":"?","Answer":"x"}]""");
        Write("validation_public/Xray/a/A.JSON", """[{"Question":"?","Answer":"x"}]""");
        Write("validation_public/Xray/a/predictions.json", "not read");
        Write("validation_public/Xray/a/.hidden.json", "not read");
        Write("validation_public/.cache/b.json", "not read");
        Write("validation_public/Xray/a/a_questions_val_withGT.json", "not read");
        var report = new RowReport(false);
        Assert.Single(FlareDataset.Read(_root, "training", [], PromptSet.Question, report));
        Assert.Single(FlareDataset.Read(_root, "validation-public", [], PromptSet.Question, report));
        Assert.Contains("validation-hidden: not found", Assert.Throws<DatasetException>(() => FlareDataset.Read(_root, "validation-hidden", [], PromptSet.Question, report)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Pictures_are_found_beside_the_file_or_anywhere_below_it_by_name()
    {
        Write("training/Xray/a/a.json", """[{"Question":"?","ImageName":"elsewhere\\one.png"},{"Question":"?","ImageName":"imagesTr/two.png"}]""");
        Write("training/Xray/a/imagesTr/deep/one.png", "");
        Write("training/Xray/a/imagesTr/two.png", "");
        string[] paths = [.. FlareDataset.Read(_root, "training", [], PromptSet.Question, new RowReport(false))
            .Select(row => Path.GetRelativePath(_root, row.Prompt[0].Content.OfType<ImagePart>().Single().Image.Path!))];
        Assert.Equal(["training/Xray/a/imagesTr/deep/one.png", "training/Xray/a/imagesTr/two.png"], paths);
    }

    [Fact]
    public void A_packed_picture_folder_is_named()
    {
        Write("training/Xray/a/a.json", """[{"Question":"?","ImageName":"imagesTr/one.png"}]""");
        Write("training/Xray/a/imagesTr.zip", "");
        string message = Assert.Throws<DatasetException>(() => FlareDataset.Read(_root, "training", [], PromptSet.Question, new RowReport(false))).Message;
        Assert.Contains("unpack imagesTr.zip", message, StringComparison.Ordinal);
        Assert.Contains("a.json: row 0", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("questions")]
    [InlineData("data")]
    [InlineData("annotations")]
    [InlineData("items")]
    public void A_list_inside_an_object_is_unwrapped(string key) => Assert.Single(Parse("{\"version\": 1, \"" + key + "\": [{\"Question\": \"?\"}, 3, null]}"));

    [Fact]
    public void Other_spellings_of_keys_are_understood()
    {
        TrainingExample row = Assert.Single(Parse("""[{"TASKTYPE":"counting","image_path":["x/a.jpg","b.jpg"],"prompt":"How many?","label":7,"modality":"MRI"}]"""));
        Assert.Equal((TaskType.Counting, "7", "MRI", "How many?"), (row.Task, row.Answer, row.Modality, TextOf(row)));
        Assert.Equal(["/images/a.jpg", "/images/b.jpg"], row.Prompt[0].Content.OfType<ImagePart>().Select(part => part.Image.Path));
    }

    [Fact]
    public void Only_the_first_pictures_are_used_when_asked() =>
        Assert.Equal(2, Parse("""[{"Question":"?","ImageName":["a","b","c"]}]""", maxImages: 2)[0].Prompt[0].Content.OfType<ImagePart>().Count());

    [Theory]
    [InlineData("\" B \"", "B")]
    [InlineData("\"[33, 79, 49, 96]\"", "[33, 79, 49, 96]")]
    [InlineData("\"[[1, 2, 3, 4], [5,6,7,8]]\"", "[1, 2, 3, 4]; [5, 6, 7, 8]")]
    [InlineData("[[1,2,3,4]]", "[1, 2, 3, 4]")]
    [InlineData("[\"a\", \"b, c\"]", "a; b, c")]
    [InlineData("\"[not json\"", "[not json")]
    [InlineData("20.5", "20.5")]
    [InlineData("{\"X\": [[1, 2, 3, 4]]}", "{\"X\": [[1, 2, 3, 4]]}")]
    [InlineData("\"\"", "")]
    public void Answers_become_the_text_to_learn(string json, string expected) => Assert.Equal(expected, Parse($$"""[{"Question":"?","Answer":{{json}}}]""")[0].Answer);

    [Theory]
    [InlineData("""[{"Question":"?"}]""")]
    [InlineData("""[{"Question":"?","Answer":null}]""")]
    public void A_row_without_an_answer_has_none(string json) => Assert.Null(Parse(json)[0].Answer);

    [Theory]
    [InlineData("""{"TaskType":"segmentation","Question":"?"}""", "TaskType 'segmentation' is unknown")]
    [InlineData("""{"TaskType":"counting"}""", "there is no Question")]
    [InlineData("""{"Question":"?","ImageName":"missing.jpg"}""", "image 'missing.jpg' not found")]
    [InlineData("""{"Question":"?","ImageName":[1]}""", "ImageName must be a file name")]
    [InlineData("""{"Question":"\ud800"}""", "not valid Unicode")]
    [InlineData("""{"Question":"?","nobody reads this":"\ud800"}""", "not valid Unicode")] // predict writes it back
    public void A_bad_row_stops_the_run_or_is_listed_with_file_and_index(string row, string problem)
    {
        string json = $$"""[{"Question":"fine"}, {{row}}, {"Question":"fine too"}]""";
        string message = Assert.Throws<DatasetException>(() => Parse(json)).Message;
        Assert.StartsWith("file_train.json: row 1: ", message, StringComparison.Ordinal);
        Assert.Contains(problem, message, StringComparison.Ordinal);
        var report = new RowReport(Skip: true);
        Assert.Equal(2, Parse(json, report: report).Count);
        Assert.Contains(problem, Assert.Single(report.Skipped), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("3")]
    [InlineData("{\"rows\": []}")]
    [InlineData("[{\"Question\": ")]
    public void Another_file_is_one_clear_error(string json) => Assert.StartsWith("file_train.json: ", Assert.Throws<DatasetException>(() => Parse(json)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_byte_order_mark_is_no_obstacle() => Assert.Single(Parse("\uFEFF[{\"Question\":\"?\"}]"));

    [Fact]
    public void An_empty_data_set_is_an_error()
    {
        Write("training/Xray/a/a.json", "[]");
        Assert.Contains("no rows found in split 'training'", Assert.Throws<DatasetException>(() => FlareDataset.Read(_root, "training", [], PromptSet.Question, new RowReport(false))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Damaged_files_give_rows_or_a_clear_error()
    {
        FlareFuzzCount count = FlareJsonFuzz.Run(20_000, seed: 1);
        Assert.True(count is { Accepted: > 1000, Rows: > 1000, BadRows: > 500 }, count.ToString());
        Assert.True(count.Accepted < count.Inputs);
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);
}
