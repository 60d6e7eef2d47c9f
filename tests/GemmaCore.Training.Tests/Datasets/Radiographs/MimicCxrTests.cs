using System.IO.Compression;
using System.Text;
using GemmaCore.Training.Datasets;
using GemmaCore.Training.Tests.Flare;

namespace GemmaCore.Training.Tests.Datasets.Radiographs;

/// <summary>Small trees with the names and columns that PhysioNet gives MIMIC-CXR-JPG 2.0.0 and the reports of MIMIC-CXR; texts are made up.</summary>
public sealed class MimicCxrTests : IDisposable
{
    private const string Metadata = """
        dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime,ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,PatientOrientationCodeSequence_CodeMeaning
        aaa,10000032,50414267,CHEST (PA AND LAT),LATERAL,3056,2544,21800506,213014.531,CHEST (PA AND LAT),lateral,Erect
        bbb,10000032,50414267,CHEST (PA AND LAT),AP,3056,2544,21800506,213014.531,CHEST (PA AND LAT),antero-posterior,Erect
        ccc,10000032,50414267,CHEST (PA AND LAT),PA,3056,2544,21800506,213014.531,CHEST (PA AND LAT),postero-anterior,Erect
        ddd,10000764,57375967,CHEST (PORTABLE AP),AP,3056,2544,21800507,11.0,CHEST (PORTABLE AP),antero-posterior,
        eee,11000011,51029426,CHEST (PORTABLE AP),AP,3056,2544,21800507,11.0,"CHEST (PORTABLE AP), ADULT",antero-posterior,

        """;

    private const string Split = """
        dicom_id,study_id,subject_id,split
        aaa,50414267,10000032,train
        bbb,50414267,10000032,train
        ccc,50414267,10000032,train
        ddd,57375967,10000764,train
        eee,51029426,11000011,validate

        """;

    private const string Labels = """
        subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,Fracture,Lung Lesion,Lung Opacity,No Finding,Pleural Effusion,Pleural Other,Pneumonia,Pneumothorax,Support Devices
        10000032,50414267,1.0,0.0,,-1.0,,,,,,,,,,1.0
        10000764,57375967,,,,,,,,,1.0,,,,,
        11000011,51029426,,1.0,,,,,,,,,,,,

        """;

    private readonly FlareTree _tree = new();

    public MimicCxrTests()
    {
        _tree.Write("mimic-cxr-2.0.0-metadata.csv", Metadata);
        _tree.Write("mimic-cxr-2.0.0-split.csv", Split);
        _tree.Write("mimic-cxr-2.0.0-chexpert.csv", Labels);
        foreach (string picture in (string[])["p10/p10000032/s50414267/aaa", "p10/p10000032/s50414267/bbb", "p10/p10000032/s50414267/ccc", "p10/p10000764/s57375967/ddd", "p11/p11000011/s51029426/eee"])
            _tree.Picture($"files/{picture}.jpg");
        _tree.Write("mimic-cxr-reports/files/p10/p10000032/s50414267.txt", """
                                             FINAL REPORT
             INDICATION:  ___F with cough.

             FINDINGS: 
             
             There is atelectasis.  The ratio
             is 1:2, as before.

             IMPRESSION: 
             
             1. Atelectasis.
            """);
        _tree.Write("mimic-cxr-reports/files/p10/p10000764/s57375967.txt", "FINAL REPORT\n IMPRESSION:  No change.\n");
        _tree.Write("mimic-cxr-reports/files/p11/p11000011/s51029426.txt", "Findings: Large heart.\n");
    }

    public void Dispose() => _tree.Dispose();

    private string Set(string more = "") => $"{{ type: mimic-cxr, path: '{_tree.Root}'{more} }}";

    [Fact]
    public void A_study_is_asked_for_its_findings_and_for_its_labels()
    {
        var report = new RowReport(false);
        IReadOnlyList<TrainingExample> rows = Rows.Open(Set(), "train", report);
        Assert.Equal(
            ["train:mimic-cxr:mimic-cxr-2:s50414267:report_generation:0", "train:mimic-cxr:mimic-cxr-2:s50414267:multi_label_classification:0", "train:mimic-cxr:mimic-cxr-2:s57375967:multi_label_classification:0"],
            rows.Select(row => row.Uid));
        Assert.Equal(["There is atelectasis. The ratio is 1:2, as before.", "Edema; Atelectasis; Support Devices", "No Finding"], rows.Select(row => row.Answer));
        Assert.Equal("Write the findings of the radiology report for this chest X-ray.", rows[0].Question());
        Assert.Equal("10000032", rows[0].Patient);
        Assert.Equal(["1 studies whose report has no findings"], report.Lines);
        Assert.Equal("Large heart.", Rows.Open(Set(), "validate")[0].Answer);
    }

    [Fact]
    public void Frontal_pictures_come_pa_first_and_views_can_be_chosen()
    {
        Assert.Equal(["ccc.jpg", "bbb.jpg"], Rows.Open(Set(), "train")[0].Pictures());
        Assert.Equal(["ccc.jpg"], Rows.Open(Set(", max_images_per_sample: 1"), "train")[0].Pictures());
        Assert.Equal(["aaa.jpg", "bbb.jpg", "ccc.jpg"], Rows.Open(Set(", views: all"), "train")[0].Pictures());
        Assert.Equal(["aaa.jpg", "ccc.jpg"], Rows.Open(Set(", views: [lateral, PA]"), "train")[0].Pictures());
    }

    [Theory]
    [InlineData("ones", "Edema; Atelectasis; Support Devices", true)]
    [InlineData("zeros", "Atelectasis; Support Devices", true)]
    [InlineData("ignore", "Atelectasis; Support Devices", false)]
    public void An_uncertain_label_is_taken_as_the_policy_says(string policy, string answer, bool asked)
    {
        TrainingExample row = Rows.Open(Set($", tasks: multi_label_classification, uncertainty: {policy}"), "train")[0];
        Assert.Equal((answer, asked, asked), (row.Answer, row.Question().Contains("Edema", StringComparison.Ordinal), row.Labels.Contains("Edema")));
    }

    [Fact]
    public void Sections_labels_and_questions_are_the_users()
    {
        TrainingExample row = Rows.Open(
            Set(", tasks: report_generation, sections: [findings, impression], prompts: question, questions: { report_generation: 'Indication: {Indication} Describe the {view} view.' }, prompt_overrides: { system: Be brief. }"),
            "train")[0];
        Assert.Equal("Findings: There is atelectasis. The ratio is 1:2, as before.\n\nImpression: 1. Atelectasis.", row.Answer);
        Assert.Equal("Indication: ___F with cough. Describe the PA view.", row.Question());
        Assert.Equal(2, row.Prompt.Count);
        Assert.Equal("Impression: No change.", Rows.Open(Set(", tasks: report, sections: [findings, impression]"), "train")[1].Answer);
        TrainingExample labels = Rows.Open(Set(", tasks: multi_label_classification, labels: [pneumothorax, atelectasis]"), "train")[0];
        Assert.Equal(("Atelectasis", "Pneumothorax, Atelectasis"), (labels.Answer, string.Join(", ", labels.Labels)));
        Assert.Contains("show: Pneumothorax, Atelectasis?", labels.Question(), StringComparison.Ordinal);
    }

    [Fact]
    public void Compressed_tables_and_reports_beside_the_pictures_are_read()
    {
        foreach (string name in (string[])["metadata", "split", "chexpert"])
        {
            string plain = _tree.PathOf($"mimic-cxr-2.0.0-{name}.csv");
            using (var packed = new GZipStream(File.Create(plain + ".gz"), CompressionLevel.Fastest)) packed.Write(File.ReadAllBytes(plain));
            File.Delete(plain);
        }

        Directory.Move(_tree.PathOf("mimic-cxr-reports"), _tree.PathOf("texts"));
        Assert.Equal(2, Rows.Open(Set(), "train").Count); // without reports there are only labels
        Assert.Equal(3, Rows.Open(Set($", reports: '{_tree.PathOf("texts")}'"), "train").Count);
        Directory.CreateDirectory(_tree.PathOf("files/p10/p10000032"));
        File.Copy(_tree.PathOf("texts/files/p10/p10000032/s50414267.txt"), _tree.PathOf("files/p10/p10000032/s50414267.txt"));
        Assert.Single(Rows.Open(Set(", tasks: report, max_samples: 1"), "train"));
    }

    [Fact]
    public void Reading_ends_with_the_last_wanted_row()
    {
        File.Delete(_tree.PathOf("files/p10/p10000764/s57375967/ddd.jpg"));
        Assert.Equal(2, Rows.Open(Set(", max_samples: 2"), "train").Count);
        Assert.Contains("image 'files/p10/p10000764/s57375967/ddd.jpg' not found", Rows.Refused(Set(), "train"), StringComparison.Ordinal);
        var report = new RowReport(true);
        Assert.Equal(2, Rows.Open(Set(), "train", report).Count);
        Assert.Single(report.Skipped);
    }

    [Theory]
    [InlineData("mimic-cxr-2.0.0-metadata.csv", null, "", "train", "there is no mimic-cxr-2.0.0-metadata.csv or .csv.gz")]
    [InlineData("mimic-cxr-2.0.0-split.csv", null, "", "train", "there is no mimic-cxr-2.0.0-split.csv or .csv.gz")]
    [InlineData("mimic-cxr-2.0.0-chexpert.csv", null, ", tasks: multi_label_classification", "train", "there is no mimic-cxr-2.0.0-chexpert.csv or .csv.gz")]
    [InlineData("", null, "", "valid", "has no split 'valid'; expected train, validate, test, all")]
    [InlineData("", null, "", "test", "there are no usable rows in split 'test' of views frontal")]
    [InlineData("", null, ", tasks: counting", "train", "'counting' is no task of mimic-cxr; expected report_generation, multi_label_classification")]
    [InlineData("", null, ", labels: [Pneumothrax]", "train", "'Pneumothrax' is unknown; did you mean 'Pneumothorax'?")]
    [InlineData("", null, ", reports: /nowhere", "train", "dataset.reports: /nowhere: not found")]
    [InlineData("", null, ", questions: { report: 'What of {veiw}?' }", "train", "nothing fills {veiw}; did you mean {view}?")]
    [InlineData("", null, ", questions: { detection: Where? }", "train", "'detection' is no task of mimic-cxr")]
    [InlineData("", null, ", uncertainty: ignore, questions: { multi_label_classification: What? }", "train", "put {labels} into it")]
    [InlineData("mimic-cxr-2.0.0-metadata.csv", "dicom_id,subject_id,study,ViewPosition\n", "", "train", "there is no column 'study_id'; did you mean 'study'?")]
    [InlineData("mimic-cxr-2.0.0-metadata.csv", "dicom_id,subject_id,study_id,ViewPosition\n../x,1,5,PA\n", "", "all", "line 2: dicom_id, subject_id or study_id is no identifier")]
    [InlineData("mimic-cxr-2.0.0-chexpert.csv", "study_id,Atelectasis\n50414267,2\n", ", labels: [Atelectasis]", "train", "line 2: Atelectasis is '2'; expected 1, 0, -1 or nothing")]
    [InlineData("mimic-cxr-reports/files/p10/p10000032/s50414267.txt", null, "", "train", "study s50414267: there is no report p10/p10000032/s50414267.txt")]
    public void What_is_missing_or_wrong_is_said(string file, string? content, string more, string split, string problem)
    {
        if (content is not null) _tree.Write(file, content);
        else if (file.Length > 0) File.Delete(_tree.PathOf(file));
        Assert.Contains(problem, Rows.Refused(Set(more), split), StringComparison.Ordinal);
    }

    [Fact]
    public void A_report_that_is_no_text_is_named()
    {
        File.WriteAllBytes(_tree.PathOf("mimic-cxr-reports/files/p10/p10000032/s50414267.txt"), [0xC3, 0x28]);
        Assert.Contains("s50414267.txt: not UTF-8 text", Rows.Refused(Set(), "train"), StringComparison.Ordinal);
        File.WriteAllBytes(_tree.PathOf("mimic-cxr-2.0.0-metadata.csv"), Encoding.Latin1.GetBytes("dicom_id,subject_id,study_id,ViewPosition\né,12,5,PA\n"));
        Assert.Contains("not UTF-8 text", Rows.Refused(Set(), "all"), StringComparison.Ordinal);
    }
}
