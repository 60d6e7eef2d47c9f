using GemmaCore.Training.Datasets;
using GemmaCore.Training.Tests.Flare;

namespace GemmaCore.Training.Tests.Datasets.Radiographs;

/// <summary>Small trees with the columns of Stanford's files.</summary>
public sealed class CheXpertTests : IDisposable
{
    private const string Header = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices\n";

    private const string Train = Header + """
        CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0
        CheXpert-v1.0-small/train/patient00002/study2/view1_frontal.jpg,Female,87,Frontal,AP,,,-1.0,1.0,,-1.0,-1.0,,-1.0,,-1.0,,1.0,
        CheXpert-v1.0-small/train/patient00002/study1/view2_lateral.jpg,Female,83,Lateral,,,,,1.0,,,-1.0,,,,,,1.0,

        """;

    private readonly FlareTree _tree = new();

    public CheXpertTests()
    {
        _tree.Write("CheXpert-v1.0-small/train.csv", Train);
        _tree.Write("CheXpert-v1.0-small/valid.csv", Header + "CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n");
        foreach (string picture in (string[])["train/patient00001/study1/view1_frontal", "train/patient00002/study2/view1_frontal", "train/patient00002/study1/view2_lateral", "valid/patient64541/study1/view1_frontal"])
            _tree.Picture($"CheXpert-v1.0-small/{picture}.jpg");
    }

    public void Dispose() => _tree.Dispose();

    private string Set(string more = "", string folder = "CheXpert-v1.0-small") => $"{{ type: chexpert, path: '{_tree.PathOf(folder)}'{more} }}";

    [Theory]
    [InlineData("ones", "Cardiomegaly; Lung Opacity; Edema; Consolidation; Atelectasis; Pleural Effusion; Fracture", 13)]
    [InlineData("zeros", "Lung Opacity; Fracture", 13)]
    [InlineData("ignore", "Lung Opacity; Fracture", 8)]
    public void Uncertain_labels_are_taken_as_the_policy_says(string policy, string answer, int asked)
    {
        IReadOnlyList<TrainingExample> rows = Rows.Open(Set($", uncertainty: {policy}"), "train");
        Assert.Equal(["Support Devices", answer], rows.Select(row => row.Answer));
        Assert.Equal(asked, rows[1].Labels.Count);
        Assert.Contains($"show: {string.Join(", ", rows[1].Labels)}?", rows[1].Question(), StringComparison.Ordinal);
    }

    [Fact]
    public void Splits_views_and_names_are_the_owners()
    {
        TrainingExample valid = Assert.Single(Rows.Open(Set(), "valid"));
        Assert.Equal(("valid:chexpert:valid:patient64541_study1_view1_frontal:multi_label_classification:0", "patient64541", "Enlarged Cardiomediastinum"), (valid.Uid, valid.Patient, valid.Answer));
        Assert.Equal(3, Rows.Open(Set(", views: all"), "train").Count);
        Assert.Equal(["view2_lateral.jpg"], Assert.Single(Rows.Open(Set(", views: lateral"), "train")).Pictures());
        Assert.Equal(2, Rows.Open(Set(), "train").Select(row => row.Patient).Distinct().Count());
        Assert.Equal("AP, 68, Female", Rows.Open(Set(", questions: { multi_label_classification: '{view}, {age}, {sex}' }"), "train")[0].Question());
    }

    [Fact]
    public void The_parent_folder_and_the_batches_of_the_large_edition_are_found()
    {
        Assert.Equal(2, Rows.Open(Set("", ""), "train").Count);
        string large = "large/CheXpert-v1.0 batch 1 (validate & csv)";
        _tree.Write($"{large}/train.csv", Header + "CheXpert-v1.0/train/patient00007/study1/view1_frontal.jpg,Male,50,Frontal,PA,1.0,,,,,,,,,,,,,\n");
        _tree.Picture("large/CheXpert-v1.0 batch 3 (train 2)/patient00007/study1/view1_frontal.jpg");
        Assert.Equal("No Finding", Assert.Single(Rows.Open(Set("", "large"), "train")).Answer);
    }

    [Fact]
    public void The_test_sets_table_has_labels_alone()
    {
        _tree.Write("CheXpert-v1.0-small/test.csv", "Path,Atelectasis,Edema\nvalid/patient64541/study1/view1_frontal.jpg,1,0\n");
        Assert.Equal("Atelectasis", Assert.Single(Rows.Open(Set(", labels: [Edema, Atelectasis]"), "test")).Answer);
        Assert.Contains("there is no column 'Enlarged Cardiomediastinum'", Rows.Refused(Set(), "test"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_picture_whose_labels_are_all_uncertain_is_left_out_and_counted()
    {
        var report = new RowReport(false);
        Assert.Single(Rows.Open(Set(", uncertainty: ignore, labels: [Cardiomegaly, Edema]"), "train", report));
        Assert.Equal(["1 pictures whose labels are all uncertain (uncertainty: ignore)"], report.Lines);
    }

    [Theory]
    [InlineData("train.csv", null, "", "train", "there is no train.csv")]
    [InlineData("", null, "", "training", "has no split 'training'; expected train, valid, test")]
    [InlineData("train.csv", "Path,Edema\nx,maybe\n", ", labels: [Edema], views: all", "train", "line 2: Edema is 'maybe'")]
    [InlineData("train/patient00001/study1/view1_frontal.jpg", null, "", "train", "view1_frontal.jpg' not found")]
    [InlineData("train.csv", "Pfad,Edema\n", "", "train", "did you mean")]
    [InlineData("train.csv", "Path,Edema\n\"x,1\n", ", labels: [Edema], views: all", "train", "a quote is opened and not closed")]
    [InlineData("train.csv", "Path,Edema\nx\n", ", labels: [Edema], views: all", "train", "1 fields, but the header names 2 columns")]
    [InlineData("train.csv", "", "", "train", "the file is empty")]
    public void What_is_missing_or_wrong_is_said(string file, string? content, string more, string split, string problem)
    {
        if (content is not null) _tree.Write($"CheXpert-v1.0-small/{file}", content);
        else if (file.Length > 0) File.Delete(_tree.PathOf($"CheXpert-v1.0-small/{file}"));
        Assert.Contains(problem, Rows.Refused(Set(more), split), StringComparison.Ordinal);
    }
}
