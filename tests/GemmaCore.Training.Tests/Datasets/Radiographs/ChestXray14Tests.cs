using GemmaCore.Training.Datasets;
using GemmaCore.Training.Tests.Flare;

namespace GemmaCore.Training.Tests.Datasets.Radiographs;

/// <summary>Small trees with the names and headers of the NIH's files, odd commas and old ages included.</summary>
public sealed class ChestXray14Tests : IDisposable
{
    private const string Entries = """
        Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],
        00000001_000.png,Cardiomegaly,0,1,058Y,M,PA,2682,2749,0.143,0.143000,
        00000001_001.png,Emphysema|Cardiomegaly,1,1,058Y,M,AP,2894,2729,0.143,0.143000,
        00000002_000.png,No Finding,0,2,081Y,F,PA,2500,2048,0.171,0.171000,
        00013118_008.png,Infiltration|Pleural_Thickening,8,13118,69,M,PA,2500,2048,0.168,0.168,

        """;

    private const string Boxes = """
        Image Index,Finding Label,Bbox [x,y,w,h],,,
        00013118_008.png,Infiltrate,225.084745762712,547.019216763771,86.7796610169491,79.1864406779661,,,
        00013118_008.png,Infiltrate,600,500.4,100,50,,,
        00000001_000.png,Cardiomegaly,10,20,30,40,,,

        """;

    private readonly FlareTree _tree = new();

    public ChestXray14Tests()
    {
        _tree.Write("Data_Entry_2017.csv", Entries);
        _tree.Write("BBox_List_2017.csv", Boxes);
        _tree.Write("train_val_list.txt", "00000001_000.png\n00000001_001.png\n00000002_000.png");
        _tree.Write("test_list.txt", "00013118_008.png\r\n");
        _tree.Picture("images_001/images/00000001_000.png");
        _tree.Picture("images_001/images/00000001_001.png");
        _tree.Picture("images_012/images/00000002_000.png");
        _tree.Picture("images/00013118_008.png");
    }

    public void Dispose() => _tree.Dispose();

    private string Set(string more = "") => $"{{ type: chestxray14, path: '{_tree.Root}'{more} }}";

    [Fact]
    public void Pictures_are_asked_for_their_labels_by_the_official_lists()
    {
        IReadOnlyList<TrainingExample> rows = Rows.Open(Set(", tasks: multi_label_classification"), "train_val");
        Assert.Equal(["Cardiomegaly", "Cardiomegaly; Emphysema", "No Finding"], rows.Select(row => row.Answer));
        Assert.Equal("train_val:chestxray14:Data_Entry_2017:00000001_001:multi_label_classification:0", rows[1].Uid);
        Assert.Equal(["1", "1", "2"], rows.Select(row => row.Patient));
        Assert.Equal(14, rows[0].Labels.Count);
        Assert.Equal(["00013118_008.png"], Assert.Single(Rows.Open(Set(", tasks: multi_label_classification"), "test")).Pictures());
        Assert.Equal(4, Rows.Open(Set(", tasks: multi_label_classification"), "all").Count);
        Assert.Equal(3, Rows.Open(Set(", tasks: multi_label_classification, views: PA"), "all").Count);
    }

    [Fact]
    public void Pictures_are_found_in_either_case_of_their_ending()
    {
        File.Move(_tree.PathOf("images/00013118_008.png"), _tree.PathOf("images/00013118_008.PNG"));
        Assert.Equal(["00013118_008.PNG"], Assert.Single(Rows.Open(Set(", tasks: multi_label_classification"), "test")).Pictures());
    }

    [Fact]
    public void Boxes_are_corners_in_pixels_one_question_for_each_finding()
    {
        TrainingExample row = Assert.Single(Rows.Open(Set(", tasks: detection"), "test"));
        Assert.Equal("[[225, 547, 312, 626], [600, 500, 700, 550]]", row.Answer);
        Assert.StartsWith("Where is Infiltration in this chest X-ray?", row.Question(), StringComparison.Ordinal);
        Assert.Equal("test:chestxray14:Data_Entry_2017:00013118_008:detection:Infiltration", row.Uid);
        Assert.Equal(2, Rows.Open(Set(), "test").Count); // all tasks
        File.Delete(_tree.PathOf("BBox_List_2017.csv"));
        Assert.Single(Rows.Open(Set(), "test"));
    }

    [Fact]
    public void Questions_are_filled_from_the_row() => Assert.Equal(
        "PA, 58, M: Mass, Cardiomegaly?",
        Rows.Open(Set(", tasks: multi_label_classification, labels: [Mass, Cardiomegaly], questions: { multi_label_classification: '{view}, {age}, {sex}: {labels}?' }"), "train_val")[0].Question());

    [Fact]
    public void Held_out_rows_share_no_patient_with_the_rest()
    {
        IReadOnlyList<TrainingExample> rows = Rows.Open(Set(", tasks: multi_label_classification"), "all");
        for (int seed = 0; seed < 10; seed++)
        {
            (IReadOnlyList<TrainingExample> training, IReadOnlyList<TrainingExample> evaluation) = Dataset.HoldOut(rows, 2, seed);
            Assert.Empty(training.Select(row => row.Patient).Intersect(evaluation.Select(row => row.Patient)));
            Assert.Equal(4, training.Count + evaluation.Count);
            Assert.InRange(evaluation.Count, 2, 3);
        }

        Assert.Contains("rows of one patient stay together", Assert.Throws<DatasetException>(() => Dataset.HoldOut([.. rows.Take(2)], 1, 0)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Data_Entry_2017.csv", null, "", "test", "there is no Data_Entry_2017.csv")]
    [InlineData("test_list.txt", null, "", "test", "test_list.txt: not found")]
    [InlineData("test_list.txt", "\n", "", "test", "the list is empty")]
    [InlineData("BBox_List_2017.csv", null, ", tasks: detection", "test", "BBox_List_2017.csv: not found")]
    [InlineData("BBox_List_2017.csv", "Image Index,Finding Label,Bbox [x,y\n", ", tasks: detection", "test", "expected four columns from 'Bbox [x' on")]
    [InlineData("BBox_List_2017.csv", "Image Index,Finding Label,Bbox [x,y,w,h]\na.png,Mass,1,2,x,4\n", ", tasks: detection", "test", "line 2: expected four numbers")]
    [InlineData("images/00013118_008.png", null, "", "test", "image '00013118_008.png' not found; unpack images_001.tar.gz")]
    [InlineData("", null, "", "", "which split? Give one of train_val, test, all")]
    [InlineData("Data_Entry_2017.csv", "Image,Finding Labels\n", "", "test", "there is no column 'Image Index'; did you mean 'Image'?")]
    [InlineData("Data_Entry_2017.csv", "Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position\n00013118_008.png,Mas,1,1,M,PA\n", "", "test", "the finding 'Mas' is unknown; did you mean Mass?")]
    public void What_is_missing_or_wrong_is_said(string file, string? content, string more, string split, string problem)
    {
        if (content is not null) _tree.Write(file, content);
        else if (file.Length > 0) File.Delete(_tree.PathOf(file));
        Assert.Contains(problem, Rows.Refused(Set(more), split), StringComparison.Ordinal);
    }
}
