using GemmaCore.Evaluation;
using GemmaCore.Training.Datasets;
using GemmaCore.Training.Flare;

namespace GemmaCore.Training.Tests.Flare;

public sealed class FlareSubmissionTests : IDisposable
{
    private readonly FlareTree _tree = new();

    public void Dispose() => _tree.Dispose();

    private Submission Fill(string questions, IEnumerable<(string Name, string Text)> predictions, bool allowMissing = false, string name = "set_questions_val.json")
    {
        string file = _tree.Write(name, questions);
        var set = new PredictionSet(predictions.ToDictionary(item => item.Name, item => new Prediction(item.Name, item.Text, new Dictionary<string, double>())), [], []);
        return new FlareSubmission(allowMissing).Fill([file], file, set);
    }

    private string Answer(string task, string prediction) =>
        (string)Fill($$"""[{"TaskType":"{{task}}","ImageName":"a.jpg","Question":"?"}]""", [("a.jpg||?", prediction)]).Rows[0]!["Answer"]!;

    [Theory]
    [InlineData("[194, 37, 307, 90]", "[[194, 37, 307, 90]]")]
    [InlineData("[1, 2, 3, 4]; [5, 6, 7.5, 8]", "[[1, 2, 3, 4], [5, 6, 7.5, 8]]")]
    [InlineData("[[1, 2, 3, 1e999]]", "[]")]
    [InlineData("nothing here", "[]")]
    public void Boxes_are_nested_and_finite(string prediction, string expected)
    {
        string answer = Answer("Detection", prediction);
        Assert.Equal(expected, answer);
        Assert.True(OfficialRules.TryReadBoxes(answer, out IReadOnlyList<Box>? boxes) && boxes!.All(box => double.IsFinite(box.Area)));
    }

    [Theory]
    [InlineData("{\"1\": [[1, 2, 3, 4]], \"X\": [[5, 6, 7, 8]]}", "{\"1\": [[1, 2, 3, 4]], \"X\": [[5, 6, 7, 8]]}")]
    [InlineData("{\"1\": [[1, 2, 3, 4]], \"X\": [[5, 6", "{}")] // cut off: boxes have lost their keys
    public void Boxes_under_keys_stay_under_keys(string prediction, string expected) => Assert.Equal(expected, Answer("instance_detection", prediction));

    [Theory]
    [InlineData("Cell Counting", "about 12 cells", "12")]
    [InlineData("Cell Counting", "many", "0")]
    [InlineData("Cell Counting", "12.6", "13")]
    [InlineData("regression", "33.3 %", "33.3")]
    [InlineData("regression", "{\"value\": 1e999}", "0")]
    [InlineData("regression", "", "0")]
    public void Numbers_are_numbers_for_Python(string task, string prediction, string expected)
    {
        string answer = Answer(task, prediction);
        Assert.Equal(expected, answer);
        Assert.True(PythonFloat.TryParse(answer, out double value) && double.IsFinite(value));
    }

    [Fact]
    public void Everything_but_the_answer_stays_as_it_stood()
    {
        Submission submission = Fill(
            """[{"TaskType":"report_generation","Modality":"X-ray","ImageName":["a.jpg","b.jpg"],"Question":"?","Answer":"secret","Split":"val","extra":{"n":1.50}}]""", [("['a.jpg', 'b.jpg']||?", " Normal. ")]);
        Assert.Equal("""{"TaskType":"report_generation","Modality":"X-ray","ImageName":["a.jpg","b.jpg"],"Question":"?","Split":"val","extra":{"n":1.50},"Answer":"Normal."}""", submission.Rows[0]!.ToJsonString());
    }

    [Fact]
    public void Predictions_by_uid_are_found_too() => Assert.Equal("A", (string?)Fill(
        """[{"TaskType":"classification","ImageName":"a.jpg","Question":"?","Split":"val"}]""",
        [("validation:set_questions_val:set_questions_val:a:disease_diagnosis_classification:0", "A")]).Rows[0]!["Answer"]);

    [Theory]
    [InlineData("set_questions_val_withGT.json", "organisers' answers (withGT)")]
    [InlineData("set_WITHGT.json", "organisers' answers (withGT)")]
    [InlineData("validation.jsonl", "converted rows")]
    public void A_file_with_answers_is_refused_by_name(string name, string words)
    {
        string file = _tree.Write(name, "this text is never parsed");
        var none = new PredictionSet(new Dictionary<string, Prediction>(), [], []);
        Assert.Contains(words, Assert.Throws<DatasetException>(() => new FlareSubmission(true).Fill([file], file, none)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_predictions_are_named_or_empty()
    {
        string questions = "[" + string.Join(',', Enumerable.Range(0, 14).Select(i => $$"""{"TaskType":"classification","ImageName":"{{i}}.jpg","Question":"?"}""")) + "]";
        string message = Assert.Throws<DatasetException>(() => Fill(questions, [("0.jpg||?", "A")])).Message;
        Assert.Contains("13 of 14 questions have no prediction: ", message, StringComparison.Ordinal);
        Assert.Contains("and 3 more; --allow-missing-predictions", message, StringComparison.Ordinal);
        Assert.Equal("", (string?)Fill(questions, [("0.jpg||?", "A")], allowMissing: true).Rows[1]!["Answer"]);
    }

    [Fact]
    public void Repairs_are_counted() => Assert.Equal(
        ["1 answers: no number could be read; 0 is submitted, because one bad number makes the whole task's error infinite", "1 answers: the number was taken out of a longer text"],
        Fill("""[{"TaskType":"counting","ImageName":"a.jpg","Question":"?"}]""", [("a.jpg||?", "many")]).Notes);
}
