using System.Text.Json.Nodes;
using GemmaCore.Testing;

namespace GemmaCore.Cli.Tests;

/// <summary><c>predict --label-scores</c>: how likely each option letter is, and of given labels whether they apply.</summary>
public sealed class LabelScoreTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public LabelScoreTests()
    {
        foreach (string name in (string[])["MRI/phantom_brain/imagesVal/phantom_brain_0000.jpg", "Retinography/phantom_retina/imagesVal/phantom_retina_0000.jpg"])
            File.Copy(Goldens.DemoPath("data/validation-public/" + name), _folder.File(Path.GetFileName(name)));
        File.WriteAllText(_folder.File("rows.json"), """
            [{"TaskType": "Classification", "ImageName": "phantom_brain_0000.jpg", "Question": "Where is the lesion? Options: A: upper left B: upper right C: lower left D: lower right"},
             {"TaskType": "Classification", "ImageName": "phantom_brain_0000.jpg", "Question": "What is it?"},
             {"TaskType": "Multi-label Classification", "ImageName": "phantom_retina_0000.jpg", "Question": "Which findings are present?"},
             {"TaskType": "Counting", "ImageName": "phantom_retina_0000.jpg", "Question": "How many?"}]
            """);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Options_and_labels_get_scores_and_a_run_goes_on_where_they_are_missing()
    {
        Run().Expect(0);
        JsonArray plain = Rows();
        Assert.All(plain, row => Assert.Null(row!["scores"]));

        // The same answers again, now with scores: an answer alone is not enough.
        Assert.Contains("4/4", Run("--label-scores", "--label", "drusen", "--label", "exudate").Expect(0).Error, StringComparison.Ordinal);
        JsonArray scored = Rows();
        Assert.Equal(plain.Select(row => (string?)row!["Answer"]), scored.Select(row => (string?)row!["Answer"]));
        Assert.Equal(["A,B,C,D", "drusen,exudate", "drusen,exudate", ""], scored.Select(row => string.Join(',', row!["scores"]!.AsObject().Select(score => score.Key))));
        double[] letters = [.. scored[0]!["scores"]!.AsObject().Select(score => (double)score.Value!)];
        Assert.Equal((string?)scored[0]!["Answer"], ((char)('A' + Array.IndexOf(letters, letters.Max()))).ToString());
        Assert.All(scored.SelectMany(row => row!["scores"]!.AsObject()), score => Assert.InRange((double)score.Value!, -100, 0));

        // All is there: nothing is asked, and the file stays as it is.
        string whole = File.ReadAllText(_folder.File("answers.json"));
        Assert.DoesNotContain("4/4", Run("--label-scores", "--label", "drusen", "--label", "exudate").Expect(0).Error, StringComparison.Ordinal);
        Assert.Equal(whole, File.ReadAllText(_folder.File("answers.json")));
    }

    [Fact]
    public void Labels_without_scores_are_a_mistake() =>
        Assert.Contains("--label goes with --label-scores", Run("--label", "drusen").Expect(2).Error, StringComparison.Ordinal);

    private JsonArray Rows() => JsonNode.Parse(File.ReadAllText(_folder.File("answers.json")))!.AsArray();

    private Finished Run(params string[] more) => GemmacoreProcess.RunIn(
        _folder.Path, ["predict", "demo", "--data", "rows.json", "--out", "answers.json", "--max-tokens", "2", "--prompts", "question", .. more]);
}
