using System.Text.Json.Nodes;
using GemmaCore.Testing;

namespace GemmaCore.Cli.Tests;

/// <summary><c>eval</c> from files to files, through the program itself.</summary>
public sealed class EvalTests : IDisposable
{
    private static readonly string Questions = Goldens.DemoPath("data/validation-public/MRI/phantom_brain/phantom_brain_questions_val.json");

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private Finished Eval(params string[] arguments) => GemmacoreProcess.RunIn(_folder.Path, ["eval", .. arguments]);

    // Predictions with the wrong letter in the first row, and with as many rows as asked for.
    private string Predictions(string name, int rows = 40, string first = "Z")
    {
        JsonArray answers = JsonNode.Parse(File.ReadAllText(Questions))!.AsArray();
        answers[0]!["Answer"] = first;
        while (answers.Count > rows) answers.RemoveAt(rows);
        File.WriteAllText(_folder.File(name), answers.ToJsonString());
        return name;
    }

    [Fact]
    public void Every_file_is_written_and_the_figures_are_right()
    {
        Finished finished = Eval("--pred", Predictions("p.json"), "--ref", "demo", "--dataset", "phantom_brain", "--bootstrap", "50", "--out", "out").Expect(0);
        Assert.Contains("classification_accuracy", finished.Output, StringComparison.Ordinal);
        foreach (string file in (string[])["scores.json", "details.json", "rows.csv", "metrics.csv", "report.html"]) Assert.True(new FileInfo(_folder.File($"out/{file}")).Length > 0, file);
        JsonNode scores = JsonNode.Parse(File.ReadAllText(_folder.File("out/scores.json")))!;
        Assert.Equal(39 / 40.0, (double)scores["mean"]!["classification_accuracy"]!);
        Assert.Equal(39 / 40.0, (double)scores["per_split"]!["validation_public"]!["classification_accuracy"]!);
        string[] rows = File.ReadAllLines(_folder.File("out/rows.csv"));
        Assert.Equal(41, rows.Length);
        Assert.EndsWith(",z,true,0", rows[1], StringComparison.Ordinal);
    }

    [Fact]
    public void Two_files_are_compared_and_json_is_one_document()
    {
        JsonNode details = JsonNode.Parse(Eval("--pred", Predictions("p.json"), "--compare", Predictions("q.json", first: "A"), "--ref", Questions, "--bootstrap", "50", "--json").Expect(0).Output)!;
        JsonNode accuracy = details["mean"]!["classification_accuracy"]!;
        Assert.Equal(1, (double)accuracy["compared"]!);
        Assert.Equal(-1 / 40.0, (double)accuracy["difference"]!, 1e-12);
        Assert.Equal(2, accuracy["difference_interval"]!.AsArray().Count);
    }

    [Fact]
    public void Missing_predictions_end_the_run_unless_they_are_allowed()
    {
        string[] arguments = ["--pred", Predictions("p.json", rows: 20), "--ref", Questions, "--bootstrap", "0"];
        Finished refused = Eval(arguments).Expect(1);
        Assert.Contains("20 of 40 references have no prediction", refused.Error, StringComparison.Ordinal);
        Assert.Contains("20 references have no prediction", Eval([.. arguments, "--allow-missing-predictions"]).Expect(0).Error, StringComparison.Ordinal);
        Assert.Equal(20, (int)JsonNode.Parse(Eval([.. arguments, "--rules", "official", "--json"]).Expect(0).Output)!["run"]!["rows_without_prediction"]!);
    }

    [Fact]
    public void A_model_answers_and_is_scored_in_one_go_and_goes_on_from_its_answers()
    {
        string[] arguments = ["demo", "--ref", "demo", "--dataset", "phantom_brain", "--prompts", "question", "--batch", "16", "--label-scores", "--out", "out", "--json"];
        JsonNode details = JsonNode.Parse(Eval(arguments).Expect(0).Output)!;
        Assert.Equal(1, (double)details["mean"]!["classification_accuracy"]!["value"]!);
        Assert.Equal(1, (double)details["label_curves"]![0]!["macro_auc"]!);
        Assert.Equal(40, File.ReadAllLines(_folder.File("out/predictions.jsonl")).Length);
        Finished again = Eval(arguments).Expect(0);
        Assert.DoesNotContain("/40", again.Error, StringComparison.Ordinal);
        Assert.Equal(details.ToJsonString(), JsonNode.Parse(again.Output)!.ToJsonString());
    }

    [Fact]
    public void Masks_are_compared_by_name_and_a_wrong_size_is_named()
    {
        foreach (string folder in (string[])["right", "predicted"]) Directory.CreateDirectory(_folder.File(folder));
        string image = Goldens.DemoPath("data/training/MRI/phantom_brain/imagesTr"), first = Directory.EnumerateFiles(image).Order(StringComparer.Ordinal).First();
        File.Copy(first, _folder.File("right/a" + Path.GetExtension(first)));
        File.Copy(first, _folder.File("predicted/a" + Path.GetExtension(first)));
        string[] arguments = ["--mask", "--ref", "right", "--pred", "predicted", "--json"];
        Assert.Equal(1, (double)JsonNode.Parse(Eval(arguments).Expect(0).Output)!["mean_dice"]!);
        File.Copy(Goldens.Path("images/rgb_37x53.png"), _folder.File("right/b.png"));
        Assert.Contains("1 of 2 references have no prediction: b", Eval(arguments).Expect(1).Error, StringComparison.Ordinal);
        File.Copy(first, _folder.File("predicted/b" + Path.GetExtension(first)));
        Assert.Contains("b: the predicted mask is 112 x 112 pixels, the reference 37 x 53", Eval(arguments).Expect(1).Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, "--text nonsense: expected one or more of rouge, bleu, cider, meteor-lite", "--pred", "p.json", "--ref", "demo", "--text", "nonsense")]
    [InlineData(2, "with --mask a folder of pictures or polygons is expected", "--pred", "p.json", "--ref", "demo", "--mask")]
    [InlineData(1, "nowhere.json: not found", "--pred", "nowhere.json", "--ref", "demo")]
    [InlineData(2, "did you mean phantom_brain?", "--pred", "p.json", "--ref", "demo", "--dataset", "phantom_brian")]
    [InlineData(2, "expected either a MODEL that answers or --pred", "--ref", "demo")]
    [InlineData(2, "expected either a MODEL that answers or --pred", "demo", "--pred", "p.json", "--ref", "demo")]
    [InlineData(2, "name a folder", "demo", "--ref", "demo", "--dataset", "phantom_brain")]
    [InlineData(2, "flare27", "--pred", "p.json", "--ref", "demo", "--rules", "flare27")]
    [InlineData(2, "--label-threshold: expected a probability between 0 and 1", "--pred", "p.json", "--ref", "demo", "--label-threshold", "1")]
    [InlineData(2, "--bootstrap", "--pred", "p.json", "--ref", "demo", "--bootstrap", "-1")]
    [InlineData(1, "holds neither question files nor converted rows", "--pred", "p.json", "--ref", ".")]
    [InlineData(1, "no prediction belongs to any reference", "--pred", "p.json", "--ref", "demo", "--dataset", "phantom_skin", "--allow-missing-predictions")]
    public void Bad_input_is_one_clear_line(int exitCode, string words, params string[] arguments)
    {
        Predictions("p.json");
        Finished finished = Eval(arguments).Expect(exitCode);
        Assert.Contains(words, finished.Error, StringComparison.Ordinal);
        Assert.Single(finished.Error.Split('\n'), line => line.StartsWith("gemmacore: ", StringComparison.Ordinal));
    }
}
