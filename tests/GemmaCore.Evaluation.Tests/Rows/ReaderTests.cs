namespace GemmaCore.Evaluation.Tests;

/// <summary>Files of predictions and references in every form, and what is said about bad ones.</summary>
public sealed class ReaderTests : IDisposable
{
    private const string Converted = """
        {"uid":"validation:cells:cells_val:a:cell_counting:0","task_type":"cell_counting","modality":"Microscopy","raw_answer":"7","answer":"7"}
        {"uid":"validation:cells:cells_val:b:cell_counting:1","task_type":"cell_counting","modality":"Microscopy","raw_answer":20.0,"answer":"20"}
        {"uid":"validation:cells:cells_val:c:cell_counting:2","task_type":"cell_counting","raw_answer":null,"answer":"9"}
        {"uid":"testing:cells:cells_test:d:cell_counting:0","task_type":"cell_counting","answer":[12]}
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("gemmacore-eval-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Write(string name, string text)
    {
        string file = Path.Combine(_folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
        return file;
    }

    private ReferenceSet References(string? text = null) => ReferenceReader.Read([Write("references.jsonl", text ?? Converted)], []);

    private static string Message(Action action) => Assert.Throws<EvaluationException>(action).Message;

    [Fact]
    public void Converted_rows_are_references_and_a_null_one_is_left_out()
    {
        ReferenceSet set = References();
        Assert.Single(set.Blank);
        Assert.Equal(["12", "7", "20"], set.References.Select(reference => reference.Row.Reference.Trim('[', ']')));
        Assert.Equal(["testing", "validation_public", "validation_public"], set.References.Select(reference => reference.Row.Split));
        Assert.All(set.References, reference => Assert.Equal("cells", reference.Row.Dataset));
    }

    [Theory]
    [InlineData("p.jsonl", "{\"uid\":\"u\",\"prediction\":\"x\",\"task_type\":\"t\",\"case_id\":\"c\"}\n\n{\"uid\":\"v\",\"pred\":\"y\"}\n")]
    [InlineData("p.json", "[{\"uid\":\"u\",\"response\":\"x\"},{\"uid\":\"v\",\"text\":\"y\",\"report\":\"y\"}]")]
    [InlineData("p.json", "{\"u\":\"x\",\"v\":\"y\"}")]
    [InlineData("p.json", "{\n  \"u\": \"x\",\n  \"v\": \"y\"\n}")]
    [InlineData("p.json", "\uFEFF{\"data\": [{\"uid\":\"u\",\"output\":\"x\"},{\"uid\":\"v\",\"answer\":\"y\"}]}")]
    public void Predictions_are_read_in_every_form(string name, string text)
    {
        PredictionSet set = PredictionReader.Read([Write(name, text)]);
        Assert.Equal(("x", "y"), (set.ByName["u"].Text, set.ByName["v"].Text));
    }

    [Fact]
    public void The_first_of_several_predictions_counts_and_the_others_are_listed()
    {
        PredictionSet set = PredictionReader.Read([Write("p.jsonl", string.Concat(Enumerable.Range(0, 24).Select(i => $"{{\"uid\":\"u{i % 12:D2}\",\"prediction\":{i}}}\n")))]);
        Assert.Equal("3", set.ByName["u03"].Text);
        string note = Assert.Single(new MatchedRows([], [], [], set.Duplicates).Notes);
        Assert.Contains("12 rows were predicted more than once", note, StringComparison.Ordinal);
        Assert.EndsWith("u09 and 2 more", note, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_predictions_are_an_error_with_the_first_ten_or_empty_answers()
    {
        ReferenceSet references = References(string.Concat(Enumerable.Range(0, 15).Select(i => $"{{\"uid\":\"u{i:D2}\",\"task_type\":\"regression\",\"answer\":\"1\"}}\n")));
        PredictionSet predictions = PredictionReader.Read([Write("p.json", "{\"u00\":\"1\",\"stray\":\"2\"}")]);
        string message = Message(() => RowMatching.Match(references, predictions, allowMissing: false));
        Assert.Contains("14 of 15 references have no prediction: u01, u02", message, StringComparison.Ordinal);
        Assert.Contains("u10 and 4 more; --allow-missing-predictions", message, StringComparison.Ordinal);
        MatchedRows rows = RowMatching.Match(references, predictions, allowMissing: true);
        Assert.Equal((14, "stray"), (rows.Missing.Count, Assert.Single(rows.Unknown)));
    }

    [Fact]
    public void Predictions_of_other_rows_altogether_are_an_error_that_shows_both_names()
    {
        string message = Message(() => RowMatching.Match(References(), PredictionReader.Read([Write("p.json", "{\"x\":\"1\"}")]), allowMissing: true));
        Assert.Contains("no prediction belongs to any reference", message, StringComparison.Ordinal);
        Assert.Contains("'testing:cells:cells_test:d:cell_counting:0'", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_submission_is_matched_by_picture_and_question()
    {
        const string questions = """
            [{"TaskType":"counting","ImageName":"imagesVal/a.jpg","Question":"How many?","Answer":"3"},{"TaskType":"counting","ImageName":["a.jpg","b.jpg"],"Question":"How many?","Answer":"4"}]
            """;
        string file = Write("validation-hidden/Microscopy/cells/cells_questions_val_withGT.json", questions);
        Write("validation-hidden/Microscopy/cells/cells_questions_val.json", questions.Replace("\"3\"", "\"\"", StringComparison.Ordinal).Replace("\"4\"", "\"\"", StringComparison.Ordinal));
        ReferenceSet references = ReferenceReader.Read([_folder], []);
        Assert.Equal([file], references.Files);
        Assert.Equal(["imagesVal/a.jpg||How many?", "['a.jpg', 'b.jpg']||How many?"], references.References.Select(reference => reference.Key).OrderDescending());
        PredictionSet predictions = PredictionReader.Read([Write("predictions.json", questions.Replace("\"3\"", "\"5\"", StringComparison.Ordinal))]);
        Assert.Equal(["5", "4"], RowMatching.Match(references, predictions, allowMissing: false).Rows.Select(row => row.Prediction));
        // By uids of the file without answers as well, which is the one that was predicted.
        string[] uids = [.. references.References.Select(reference => reference.Row.Uid.Replace("_withGT", "", StringComparison.Ordinal))];
        PredictionSet named = PredictionReader.Read([Write("predictions.jsonl", string.Concat(uids.Select(uid => $"{{\"uid\":\"{uid}\",\"prediction\":\"9\"}}\n")))]);
        Assert.Equal(["9", "9"], RowMatching.Match(references, named, allowMissing: false).Rows.Select(row => row.Prediction));
        Assert.All(references.References, reference => Assert.Equal(("cells", "validation_hidden"), (reference.Row.Dataset, reference.Row.Split)));
    }

    [Fact]
    public void Predictions_for_rows_that_are_not_scored_are_no_strangers()
    {
        ReferenceSet references = References(Converted + "\n{\"uid\":\"testing:teeth:t:e:regression:0\",\"task_type\":\"regression\",\"answer\":\"1\"}").Only(["cells"]);
        string predictions = string.Concat(references.References.Concat(references.Ignored).Select(reference => $"{{\"uid\":\"{reference.Row.Uid}\",\"prediction\":\"1\"}}\n"));
        MatchedRows rows = RowMatching.Match(references, PredictionReader.Read([Write("p.jsonl", predictions)]), allowMissing: false);
        Assert.Equal(3, rows.Rows.Count);
        Assert.Empty(rows.Notes);
    }

    [Fact]
    public void Scores_of_labels_are_kept() => Assert.Equal(
        -0.25, PredictionReader.Read([Write("p.jsonl", "{\"uid\":\"u\",\"prediction\":\"A\",\"scores\":{\"A\":-0.25,\"B\":-1.5}}\n")]).ByName["u"].Scores["A"]);

    [Theory]
    [InlineData("{\"uid\":\"u\"}", "there is no prediction; expected one of prediction, pred")]
    [InlineData("{\"prediction\":\"x\"}\n{\"prediction\":\"y\"}", "neither a uid nor ImageName and Question")]
    [InlineData("{\"uid\":\"u\",\"raw_answer\":\"x\",\"answer\":\"x\"}", "these are references")]
    [InlineData("{\"uid\":\"u\",\"prediction\":\"x\",\"scores\":[1]}", "scores must be an object")]
    [InlineData("{\"uid\":\"u\",\"prediction\":\"x\"}\n{\"uid\":", "line 2: not valid JSON")]
    [InlineData("{\"uid\":\"u\",\"prediction\":\"\\ud800\"}", "not valid Unicode")]
    [InlineData("[]", "holds no predictions")]
    public void A_bad_prediction_is_named_with_file_and_row(string text, string problem)
    {
        string message = Message(() => PredictionReader.Read([Write("p.jsonl", text)]));
        Assert.StartsWith(Path.Combine(_folder, "p.jsonl"), message, StringComparison.Ordinal);
        Assert.Contains(problem, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"uid\":\"u\",\"answer\":\"x\"}", "there is no task_type")]
    [InlineData("{\"uid\":\"u\",\"task_type\":\"segmentation\",\"answer\":\"x\"}", "TaskType 'segmentation' is unknown")]
    [InlineData("{\"uid\":\"u\",\"task_type\":\"regression\",\"answer\":\" \"}", "no row has an answer")]
    [InlineData("{\"uid\":\"u\",\"task_type\":\"regression\",\"answer\":\"1\"}\n{\"uid\":\"u\",\"task_type\":\"regression\",\"answer\":\"1\"}", "1 uids more than once: u")]
    public void A_bad_reference_is_named(string text, string problem) => Assert.Contains(problem, Message(() => References(text)), StringComparison.Ordinal);

    [Fact]
    public void Two_references_of_one_picture_and_question_need_uids()
    {
        ReferenceSet references = ReferenceReader.Read(
            [Write("q.json", """[{"TaskType":"counting","ImageName":"a","Question":"?","Answer":"3"},{"TaskType":"counting","ImageName":"a","Question":"?","Answer":"4"}]""")], []);
        PredictionSet predictions = PredictionReader.Read([Write("p.json", """[{"ImageName":"a","Question":"?","Answer":"3"}]""")]);
        Assert.Contains("must name rows by uid", Message(() => RowMatching.Match(references, predictions, allowMissing: true)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_without_questions_says_what_was_looked_for() => Assert.Contains("holds neither question files nor converted rows", Message(() => ReferenceReader.Read([_folder], [])), StringComparison.Ordinal);
}
