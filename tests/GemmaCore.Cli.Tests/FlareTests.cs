using System.Text.Json.Nodes;
using GemmaCore.Testing;

namespace GemmaCore.Cli.Tests;

/// <summary><c>flare convert, report, submit</c> and <c>predict</c> on converted rows, through the program itself.</summary>
public sealed class FlareTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private Finished Run(params string[] arguments) => GemmacoreProcess.RunIn(_folder.Path, arguments);

    // A FLARE folder of one set with two rows.
    private void Tree(string rows)
    {
        string set = _folder.File("flare/validation-hidden/Microscopy/cells");
        Directory.CreateDirectory(Path.Combine(set, "imagesVal"));
        File.Copy(Goldens.DemoPath("data/training/Microscopy/phantom_cells/imagesTr/phantom_cells_0000.jpg"), Path.Combine(set, "imagesVal/cell_1.jpg"));
        File.WriteAllText(Path.Combine(set, "cells_questions_val.json"), rows);
    }

    private const string Questions = """
        [{"TaskType":"Counting","Modality":"microscopy","ImageName":"imagesVal/cell_1.jpg","Question":"How many cells are in this image?","Answer":"","Split":"val"},
         {"TaskType":"Counting","Modality":"microscopy","ImageName":"imagesVal/cell_1.jpg","Question":"How many large cells?","Answer":"","Split":"val"}]
        """;

    [Fact]
    public void Converted_rows_are_predicted_as_lines_and_go_on_where_they_stopped()
    {
        Tree(Questions);
        Run("flare", "convert", "--root", "flare", "--out", "rows").Expect(0);
        string[] predict = ["predict", "demo", "--data", "rows", "--split", "validation-hidden", "--max-tokens", "3", "--batch", "1", "--out", "p.jsonl"];
        Assert.Contains("2/2", Run(predict).Expect(0).Error, StringComparison.Ordinal);
        string whole = File.ReadAllText(_folder.File("p.jsonl"));
        JsonNode first = JsonNode.Parse(whole.Split('\n')[0])!;
        Assert.Equal(["uid", "prediction", "task_type", "case_id"], first.AsObject().Select(field => field.Key));
        Assert.Equal("validation_hidden:cells:cells_questions_val:cell_1:cell_counting:0", (string?)first["uid"]);
        Assert.Equal("cell_1", (string?)first["case_id"]);
        File.WriteAllText(_folder.File("p.jsonl"), whole.Split('\n')[1] + "\n");
        Finished again = Run(predict).Expect(0);
        Assert.DoesNotContain("1/2", again.Error, StringComparison.Ordinal);
        Assert.Equal(whole, File.ReadAllText(_folder.File("p.jsonl")));

        Run("flare", "submit", "--data", "flare", "--pred", "p.jsonl", "--out", "submission.json").Expect(0);
        JsonArray submitted = JsonNode.Parse(File.ReadAllText(_folder.File("submission.json")))!.AsArray();
        Assert.Equal(2, submitted.Count);
        Assert.All(submitted, row => Assert.True(double.TryParse((string?)row!["Answer"], out _)));
    }

    [Fact]
    public void Converted_rows_are_not_written_back_beside_their_right_answers()
    {
        Tree(Questions.Replace("\"Answer\":\"\"", "\"Answer\":\"7\"", StringComparison.Ordinal));
        Run("flare", "convert", "--root", "flare", "--out", "rows").Expect(0);
        Assert.Contains("name the file .jsonl", Run("predict", "demo", "--data", "rows", "--split", "validation-hidden", "--out", "p.json").Expect(2).Error, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.File("p.json")));
    }

    [Fact]
    public void A_report_is_text_or_one_document_and_a_page()
    {
        Tree(Questions.Replace("cell_1.jpg\",\"Question\":\"How many large", "cell_2.jpg\",\"Question\":\"How many large", StringComparison.Ordinal));
        Assert.Contains("missing image: 1", Run("flare", "report", "--root", "flare", "--out", "report").Expect(0).Output, StringComparison.Ordinal);
        Assert.Equal(File.ReadAllText(_folder.File("report/report.json")), Run("flare", "report", "--root", "flare", "--json").Expect(0).Output);
        Assert.StartsWith("<!doctype html>", File.ReadAllText(_folder.File("report/report.html")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, "Required command was not provided", "flare")]
    [InlineData(2, "did you mean 'convert'?", "flare", "convrt")]
    [InlineData(1, "no question file found", "flare", "convert", "--root", ".", "--out", "rows")]
    [InlineData(1, "no question file found", "flare", "report", "--root", "nowhere")]
    [InlineData(1, "holds no questions", "flare", "submit", "--data", "flare", "--split", "testing", "--pred", "p.json", "--out", "s.json")]
    [InlineData(1, "the organisers' answers (withGT)", "flare", "submit", "--data", "q_withGT.json", "--pred", "p.json", "--out", "s.json")]
    [InlineData(1, "2 of 2 questions have no prediction", "flare", "submit", "--data", "flare", "--pred", "p.json", "--out", "s.json")]
    [InlineData(1, "imagesVal.zip: not a zip archive, or cut off", "flare", "convert", "--root", "zipped", "--out", "rows")]
    public void Bad_input_is_one_clear_line(int exitCode, string words, params string[] arguments)
    {
        Tree(Questions);
        File.WriteAllText(_folder.File("p.json"), "{\"another uid\": \"1\"}");
        File.WriteAllText(_folder.File("q_withGT.json"), Questions);
        Directory.CreateDirectory(_folder.File("zipped/testing/Xray/x"));
        File.WriteAllText(_folder.File("zipped/testing/Xray/x/x_questions_test.json"), "[]");
        File.WriteAllText(_folder.File("zipped/testing/Xray/x/imagesVal.zip"), "PK");
        Finished finished = Run(arguments).Expect(exitCode);
        Assert.Contains(words, finished.Error, StringComparison.Ordinal);
        Assert.Single(finished.Error.Split('\n'));
        Assert.False(File.Exists(_folder.File("s.json")));
    }
}
