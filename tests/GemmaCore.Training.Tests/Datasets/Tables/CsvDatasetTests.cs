using System.IO.Compression;
using System.Text;
using CsCheck;
using GemmaCore.Evaluation;
using GemmaCore.Inputs;
using GemmaCore.Testing;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;
using GemmaCore.Training.Tests.Flare;

namespace GemmaCore.Training.Tests.Datasets.Tables;

public sealed class CsvDatasetTests : IDisposable
{
    private readonly FlareTree _tree = new();

    public CsvDatasetTests()
    {
        _tree.Picture("pictures/a.jpg");
        _tree.Picture("pictures/b.jpg");
    }

    public void Dispose() => _tree.Dispose();

    private string Set(string content, string more = "", string name = "mine.csv") => $"{{ type: csv, path: '{_tree.Write(name, content)}'{more} }}";

    [Fact]
    public void Columns_of_the_usual_names_need_no_mapping()
    {
        TrainingExample row = Assert.Single(Rows.Open(Set("Image,Question,Answer,Task,Modality,Patient,ID\na.jpg,\"What, then?\",yes,classification,CT,p1,7\n"), ""));
        Assert.Equal(("What, then?", "yes", TaskType.Classification, "CT", "p1", "all:mine:mine:7:disease_diagnosis_classification:0"), (row.Question(), row.Answer, row.Task, row.Modality, row.Patient, row.Uid));
        Assert.Equal(["a.jpg"], row.Pictures());
    }

    [Fact]
    public void Columns_tasks_and_questions_can_be_mapped()
    {
        string table = "file\tdx\tage\nb.jpg|a.jpg\tnaevus\t41\na.jpg\tmelanoma\t62\n";
        IReadOnlyList<TrainingExample> rows = Rows.Open(
            Set(table, $", image_root: '{_tree.PathOf("pictures")}', columns: {{ image: file, answer: dx }}, questions: {{ classification: 'What is it, at {{AGE}}?' }}", "skin.tsv"), "");
        Assert.Equal(["What is it, at 41?", "What is it, at 62?"], rows.Select(row => row.Question()));
        Assert.Equal(["b.jpg", "a.jpg"], rows[0].Pictures());
        Assert.Equal([TaskType.Classification, TaskType.Classification], rows.Select(row => row.Task));
        Assert.Equal(["all:skin:skin:b:disease_diagnosis_classification:2", "all:skin:skin:a:disease_diagnosis_classification:3"], rows.Select(row => row.Uid));
    }

    [Fact]
    public void Splits_are_a_column()
    {
        string set = Set("image;question;answer;fold\na.jpg;q;1;train\nb.jpg;q;2;test\n", ", task: counting, columns: { split: fold }");
        Assert.Equal(["1"], Rows.Open(set, "train").Select(row => row.Answer));
        Assert.Equal(["1", "2"], Rows.Open(set, "").Select(row => row.Answer));
        Assert.Contains("no row is of split 'val'; column 'fold' holds test, train", Rows.Refused(set, "val"), StringComparison.Ordinal);
    }

    [Fact]
    public void Prompt_sets_and_overrides_hold()
    {
        TrainingExample row = Rows.Open(Set("image,question,answer\na.jpg,How many?,3\n", ", task: counting, prompts: flare25, prompt_overrides: { system: '' }"), "")[0];
        Assert.Equal("Count the specified objects or features in the image. Provide an accurate numerical answer.\n\nHow many?", row.Question());
        Assert.Equal(ChatRole.User, Assert.Single(row.Prompt).Role);
        Assert.Null(Rows.Open(Set("image,question\na.jpg,How many?\n"), "")[0].Answer);
    }

    [Fact]
    public void Json_in_a_question_is_no_blank() => Assert.Equal(
        "Answer {\"box_2d\": [0, 0, 1, 1]} for a.jpg",
        Rows.Open(Set("image\na.jpg\n", ", questions: { detection: 'Answer {\"box_2d\": [0, 0, 1, 1]} for {image}' }"), "")[0].Question());

    [Fact]
    public void Thousandths_are_of_the_square_where_the_run_pads_pictures()
    {
        string table = $"image,question,answer\n{Goldens.Path("images/photo_100x60.bmp")},Where?,\"[[10, 0, 60, 60]]\"\n";
        DatasetConfiguration Read(string mode) => ConfigurationReader.Read($"resize_mode: {mode}\ndataset: {Set(table, ", task: detection, box_format: box_2d")}", []).Configuration.Dataset;
        string Answer(string mode) => Dataset.Open(Read(mode), "", new RowReport(false))[0].Answer!;
        Assert.Equal("[{\"box_2d\": [0, 100, 1000, 600]}]", Answer("square"));
        Assert.Equal("[{\"box_2d\": [200, 100, 800, 600]}]", Answer("pad"));
    }

    // The phantoms are 112 pixels wide and high.
    [Fact]
    public void Boxes_can_be_taught_in_thousandths()
    {
        const string Table = "image,question,answer\na.jpg,Where?,\"[[28, 56, 112, 84]]\"\n";
        Assert.Equal("[{\"box_2d\": [500, 250, 750, 1000]}]", Rows.Open(Set(Table, ", task: detection, box_format: box_2d"), "")[0].Answer);
        Assert.Equal("[[28, 56, 112, 84]]", Rows.Open(Set(Table, ", task: detection"), "")[0].Answer);
        Assert.Equal("[[28, 56, 112, 84]]", Rows.Open(Set(Table, ", task: report, box_format: box_2d"), "")[0].Answer);
        Assert.Equal("[]", Rows.Open(Set("image,question,answer\na.jpg,Where?,none\n", ", task: detection, box_format: box_2d"), "")[0].Answer);
        Assert.Contains("line 2: the answer holds no boxes: 'left'", Rows.Refused(Set("image,question,answer\na.jpg,Where?,left\n", ", task: detection, box_format: box_2d"), ""), StringComparison.Ordinal);
    }

    [Fact]
    public void Any_text_comes_back_from_a_quoted_field() => Gen.String.Sample(text =>
    {
        text = new string([.. text.Where(c => !char.IsSurrogate(c) && c is not ('\r' or '\0'))]).Trim();
        if (text.Length == 0) return;
        TrainingExample row = Rows.Open(Set($"image,question,answer\na.jpg,q,\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"\n", "", "any.csv"), "")[0];
        Assert.Equal(text, row.Answer);
    }, iter: 200, threads: 1);

    // A table whose bytes are damaged here and there, packed or not: rows are read or refused, and nothing else comes out.
    [Fact]
    public void Damaged_tables_are_refused_and_nothing_else()
    {
        var random = new Random(11);
        byte[] plain = Encoding.UTF8.GetBytes("image,question,answer,task\na.jpg,\"What, \"\"then\"\"?\",yes,classification\nb.jpg,q,é,counting\n");
        using var memory = new MemoryStream();
        using (var packed = new GZipStream(memory, CompressionLevel.Fastest, leaveOpen: true)) packed.Write(plain);
        string file = _tree.PathOf("damaged.csv"), set = $"{{ type: csv, path: '{file}' }}";
        int read = 0, refused = 0;
        for (int round = 0; round < 3000; round++)
        {
            byte[] bytes = round % 3 == 0 ? memory.ToArray() : [.. plain];
            for (int hit = random.Next(1, 4); hit > 0; hit--) bytes[random.Next(bytes.Length)] = (byte)(random.Next(3) == 0 ? "\",\n;\t\0|"[random.Next(7)] : random.Next(256));
            File.WriteAllBytes(file, bytes[..random.Next(bytes.Length / 2, bytes.Length + 1)]);
            try
            {
                Rows.Open(set, "", new RowReport(round % 2 == 0));
                read++;
            }
            catch (DatasetException)
            {
                refused++;
            }
        }

        Assert.True(read > 100 && refused > 1000, $"{read} read, {refused} refused");
    }

    [Theory]
    [InlineData("imge,question\na.jpg,q\n", "", "there is no column 'image'; say which one names the pictures: columns: { image: NAME }; did you mean 'imge'?")]
    [InlineData("image,qestion\na.jpg,q\n", "", "nothing says what to ask (columns: { question: NAME } or questions: { TASK: TEXT }); there is no column 'question'; did you mean 'qestion'?")]
    [InlineData("image,question\na.jpg,q\n", ", columns: { answer: anwser }", "columns.answer: there is no column 'anwser'; did you mean")]
    [InlineData("image,question\na.jpg,q\n", ", columns: { anser: x }", "dataset.columns: 'anser' is unknown; did you mean answer?")]
    [InlineData("image,question\na.jpg,q\n", ", task: guessing", "dataset.task: 'guessing' is unknown")]
    [InlineData("image,question,task\na.jpg,q,guessing\n", "", "line 2: task 'guessing' is unknown")]
    [InlineData("image,question\nc.jpg,q\n", "", "line 2: image 'c.jpg' not found in")]
    [InlineData("image,question\na.jpg,\n", "", "line 2: there is no question")]
    [InlineData("image,question\na.jpg,q,r\n", "", "line 2: 3 fields, but the header names 2 columns")]
    [InlineData("image,question,id\na.jpg,q,1\nb.jpg,q,1\n", "", "line 3: another row of the file has this id, '1'")]
    [InlineData("image,question\n\"a.jpg,q\n", "", "a quote is opened and not closed")]
    [InlineData("image,question\na.jpg,a \"b\" c\n", "", "a quote stands inside a field")]
    [InlineData("", "", "the file is empty")]
    [InlineData("image,question\n", "", "there are no usable rows")]
    [InlineData("image,question\na.jpg,q\n", ", image_root: /nowhere", "dataset.image_root: /nowhere: not found")]
    [InlineData("image,question\na.jpg,q\n", ", delimiter: '::'", "expected one character or tab, got '::'")]
    [InlineData("image,age\na.jpg,1\n", ", questions: { counting: 'At {aeg}?' }", "nothing fills {aeg}; did you mean {age}?")]
    [InlineData("image,age\na.jpg,1\n", ", questions: { guessing: x }", "'guessing' is no task")]
    public void What_is_missing_or_wrong_is_said(string content, string more, string problem) => Assert.Contains(problem, Rows.Refused(Set(content, more), ""), StringComparison.Ordinal);

    [Fact]
    public void Bad_rows_can_be_left_out()
    {
        var report = new RowReport(true);
        Assert.Single(Rows.Open(Set("image,question\nc.jpg,q\na.jpg,q,r\nb.jpg,q\n"), "", report));
        Assert.Equal(2, report.Skipped.Count);
    }

    [Fact]
    public void What_is_no_table_is_named()
    {
        string file = _tree.PathOf("mine.csv");
        string set = $"{{ type: csv, path: '{file}' }}";
        Assert.Contains("not found; expected a CSV or TSV file", Rows.Refused(set, ""), StringComparison.Ordinal);
        Assert.Contains("this is a folder", Rows.Refused($"{{ type: csv, path: '{_tree.Root}' }}", ""), StringComparison.Ordinal);
        File.WriteAllBytes(file, [0x50, 0x4B, 3, 4]);
        Assert.Contains("this is a spreadsheet", Rows.Refused(set, ""), StringComparison.Ordinal);
        File.WriteAllBytes(file, Encoding.Latin1.GetBytes("image,question\na.jpg,é\n"));
        Assert.Contains("not UTF-8 text", Rows.Refused(set, ""), StringComparison.Ordinal);
        using (var packed = new GZipStream(File.Create(file), CompressionLevel.NoCompression)) packed.Write(Encoding.UTF8.GetBytes("image,question\n" + string.Concat(Enumerable.Repeat("a.jpg,q\n", 5000))));
        Assert.Equal(5000, Rows.Open(set, "").Count);
        byte[] bytes = File.ReadAllBytes(file);
        File.WriteAllBytes(file, bytes[..(bytes.Length / 2)]);
        Assert.Contains("damaged or cut off", Rows.Refused(set, ""), StringComparison.Ordinal);
        File.WriteAllBytes(file, Encoding.Unicode.GetPreamble().Concat(Encoding.Unicode.GetBytes("image,question\na.jpg,é\n")).ToArray());
        Assert.Equal("é", Rows.Open(set, "")[0].Question());
    }

    [Fact]
    public void A_key_of_another_type_is_no_silence()
    {
        string Refused(string yaml) => Assert.Throws<ConfigurationException>(() => ConfigurationReader.Read(yaml, [])).Message;
        Assert.Contains("dataset.uncertainty: type csv has no such key; it belongs to mimic-cxr, chexpert", Refused("dataset: { type: csv, uncertainty: zeros }"), StringComparison.Ordinal);
        Assert.Contains("dataset.columns: type flare has no such key", Refused("dataset: { columns: { image: x } }"), StringComparison.Ordinal);
        Assert.Contains("dataset.uncertainty: expected ones, zeros or ignore", Refused("dataset: { type: chexpert, uncertainty: one }"), StringComparison.Ordinal);
        Assert.Contains("dataset.sections: expected findings, impression", Refused("dataset: { type: mimic-cxr, sections: [history] }"), StringComparison.Ordinal);
        Assert.Contains("nothing to evaluate on", Refused("{ dataset: { type: chestxray14 }, eval_strategy: epoch }"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_configuration_as_resolved_reads_back_the_same()
    {
        TrainingConfiguration configuration = ConfigurationReader.Read("dataset: { type: mimic-cxr, path: x, sections: [impression], labels: [Edema], questions: { report: y } }", []).Configuration;
        Assert.Equal(ConfigurationWriter.ToYaml(configuration), ConfigurationWriter.ToYaml(ConfigurationReader.Read(ConfigurationWriter.ToYaml(configuration), []).Configuration));
        Assert.Equal(("train", "validate", "question"), (configuration.Dataset.Split, configuration.Dataset.EvalSplit, configuration.Dataset.Prompts));
    }
}
