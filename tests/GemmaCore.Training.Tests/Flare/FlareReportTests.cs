using System.Text.Json.Nodes;
using GemmaCore.Inputs;
using GemmaCore.Testing;
using GemmaCore.Training.Datasets;
using GemmaCore.Training.Flare;

namespace GemmaCore.Training.Tests.Flare;

public sealed class FlareReportTests : IDisposable
{
    private readonly FlareTree _tree = new();

    public void Dispose() => _tree.Dispose();

    private FlareReport Report() => FlareReport.Of(_tree.Root, null, PromptSet.Question);

    private void Bones(params string[] answers) => _tree.Write(
        "training/Xray/bone/bone_questions_train.json",
        "[" + string.Join(',', answers.Select(answer => $$"""{"TaskType":"regression","Question":"?","Answer":"{{answer}}"}""")) + "]");

    [Fact]
    public void Every_fault_is_listed_and_none_stops_the_report()
    {
        _tree.Picture("training/Xray/dental/imagesTr/good.jpg");
        File.WriteAllBytes(_tree.PathOf("training/Xray/dental/imagesTr/cut.jpg"), FlareTree.PictureBytes(1)[..300]);
        _tree.Write("training/Xray/dental/dental_questions_train.json", """
            [{"TaskType":"Classification","ImageName":"imagesTr/good.jpg","Question":"Which? A: x B: y","Answer":"T"},
             {"TaskType":"Classification","ImageName":"imagesTr/gone.jpg","Question":"Which? A: x B: y","Answer":"A"},
             {"TaskType":"Classification","ImageName":"imagesTr/cut.jpg","Question":"Which? A: x B: y","Answer":"B"},
             {"TaskType":"segmentation","ImageName":"imagesTr/good.jpg","Question":"?","Answer":"B"},
             {"TaskType":"Detection","ImageName":"imagesTr/good.jpg","Question":"?","Answer":"[[5, 5, 5, 9]]"},
             {"TaskType":"Cell Counting","ImageName":"imagesTr/good.jpg","Question":"?","Answer":"some"}]
            """);
        _tree.Write("training/Xray/broken/broken_questions_train.json", "[{");
        FlareReport report = Report();
        Assert.Equal(
            ["bad file", "bad row", "missing image", "odd answer", "odd answer", "odd answer", "unreadable image"], report.Faults.Select(fault => fault.Kind).Order(StringComparer.Ordinal));
        Assert.Contains(report.Faults, fault => fault.Detail == "'T' is none of the options A B" && fault.Where.EndsWith("dental_questions_train.json: row 0", StringComparison.Ordinal));
        Assert.Equal((6, 5), report.Datasets.Where(set => set.Dataset == "dental").Select(set => (set.Rows, set.Answered)).Single());
    }

    [Fact]
    public void A_number_far_from_all_others_is_odd()
    {
        Bones([.. Enumerable.Range(0, 30).Select(i => $"{20 + i % 7}.5"), "2085"]);
        DataFault fault = Assert.Single(Report().Faults);
        Assert.StartsWith("2085 is far from the other answers", fault.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Pictures_of_one_content_in_two_splits_are_found_under_other_names()
    {
        foreach ((string split, string name) in ((string, string)[])[("training", "a"), ("validation-public", "b"), ("training", "c")])
        {
            _tree.Picture($"{split}/Xray/x/images/{name}.jpg", name == "c" ? 5 : 0);
            string old = _tree.PathOf($"{split}/Xray/x/x.json");
            string rows = File.Exists(old) ? File.ReadAllText(old)[..^1] + "," : "[";
            _tree.Write($"{split}/Xray/x/x.json", rows + $$"""{"TaskType":"classification","ImageName":"{{name}}.jpg","Question":"?","Answer":"A"}]""");
        }

        Assert.Equal(["training/x/a.jpg", "validation-public/x/b.jpg"], Assert.Single(Report().Shared).Places);
    }

    [Fact]
    public void Class_balance_counts_labels()
    {
        _tree.Write("training/Xray/x/x.json", """[{"TaskType":"multi-label classification","Question":"?","Answer":"a; b"},{"TaskType":"multi-label classification","Question":"?","Answer":"b"}]""");
        Assert.Equal([KeyValuePair.Create("b", 2), KeyValuePair.Create("a", 1)], Report().Datasets.Single().Classes);
    }

    [Fact]
    public void Token_lengths_are_those_of_training()
    {
        PromptEncoder encoder = PromptEncoder.Load(Goldens.DemoPath("model"));
        DatasetSummary cells = FlareReport.Of(Goldens.DemoPath("data"), encoder, PromptSet.Flare26).Datasets.First(set => set is { Dataset: "phantom_retina", Split: "training" });
        int[] lengths = [.. FlareDataset.Read(Goldens.DemoPath("data"), "training", ["phantom_retina"], PromptSet.Flare26, new RowReport(false))
            .Select(row => new ExampleEncoder(encoder, 0, LossTokens.AssistantOnly).Encode(row).Ids.Length).Order()];
        Assert.Equal((lengths[0], lengths[lengths.Length / 2], lengths[^1]), cells.PromptTokens);
    }

    [Fact]
    public void Json_and_page_hold_the_report()
    {
        _tree.Picture("training/Xray/x/images/a.jpg");
        _tree.Write("training/Xray/x/x.json", """[{"TaskType":"classification","ImageName":"a.jpg","Question":"<script>","Answer":"A"},{"TaskType":"classification","ImageName":"b.jpg","Question":"?","Answer":"A"}]""");
        FlareReport report = Report();
        JsonObject json = FlareReportFiles.Json(report);
        Assert.Equal("missing image", (string?)json["faults"]![0]!["kind"]);
        string page = FlareReportFiles.Page(report);
        Assert.Contains("src=\"data:image/jpeg;base64,", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", page, StringComparison.Ordinal);
        Assert.Contains("missing image: 1", FlareReportFiles.Text(report), StringComparison.Ordinal);
    }
}
