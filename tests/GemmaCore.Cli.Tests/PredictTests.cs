using System.Text.Json.Nodes;
using GemmaCore.Testing;

namespace GemmaCore.Cli.Tests;

/// <summary><c>predict</c> on rows as real files have them: odd names, every spelling JSON allows, equal rows, an output to go on from.</summary>
public sealed class PredictTests : IDisposable
{
    private const string OddName = "Bild é №1 %20 #2 'x' & <y>.jpg";

    // Keys and strings with escapes where none are needed and without where they are usual; file names under three keys; two equal rows.
    private const string Rows = """
        [{"TaskType": "Counting", "ImageName": ["NAME"], "Question": "What's \u0022in\u0022 the <b>image</b> & where? \u00e9 é 😀"},
         {"Task\u0054ype": "Counting", "\u0049mageName": "Bild \u00E9 \u21161 %20 #2 'x' & <y>.jpg", "Qu\u0065stion": "How many cells?", "note": {"a": [1.50, null, "\/"]}},
         {"TaskType": "Counting", "image": "NAME", "prompt": "First?"},
         {"TaskType": "Counting", "image": "NAME", "prompt": "Second?"},
         {"TaskType": "Counting", "image": "NAME", "prompt": "Second?"}]
        """;

    private readonly TemporaryFolder _folder = new();

    public PredictTests()
    {
        File.Copy(Goldens.DemoPath("data/training/Microscopy/phantom_cells/imagesTr/phantom_cells_0000.jpg"), _folder.File(OddName));
        File.WriteAllText(_folder.File("rows.json"), Rows.Replace("NAME", OddName, StringComparison.Ordinal));
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Odd_names_and_escapes_are_answered_and_known_again()
    {
        Assert.Equal(["1/5", "2/5", "3/5", "4/5", "5/5"], Progress(Predict()));
        string whole = File.ReadAllText(_folder.File("answers.json"));
        JsonArray rows = JsonNode.Parse(whole)!.AsArray();
        Assert.Equal("What's \"in\" the <b>image</b> & where? é é 😀", (string?)rows[0]!["Question"]);
        Assert.Equal(OddName, (string?)rows[1]!["ImageName"]);
        Assert.Equal("/", (string?)rows[1]!["note"]!["a"]![2]);
        Assert.All(rows, row => Assert.NotNull((string?)row!["Answer"]));

        // All is there: nothing is asked again. Then rows are taken out, one of the equal ones among them: only those are asked.
        Assert.Empty(Progress(Predict()));
        Assert.Equal(whole, File.ReadAllText(_folder.File("answers.json")));
        foreach (int row in (int[])[3, 2, 0]) rows.RemoveAt(row);
        File.WriteAllText(_folder.File("answers.json"), rows.ToJsonString());
        Assert.Equal(["3/5", "4/5", "5/5"], Progress(Predict()));
        Assert.Equal(whole, File.ReadAllText(_folder.File("answers.json")));
    }

    // Answers must not wander: with other words at other rows, each row gets its own back.
    [Fact]
    public void Rows_under_other_keys_get_their_own_answers_back()
    {
        Predict();
        JsonArray rows = JsonNode.Parse(File.ReadAllText(_folder.File("answers.json")))!.AsArray();
        for (int i = 0; i < rows.Count; i++) rows[i]!["Answer"] = $"answer {i}";
        rows.RemoveAt(1);
        File.WriteAllText(_folder.File("answers.json"), rows.ToJsonString());
        Assert.Equal(["5/5"], Progress(Predict()));
        JsonArray again = JsonNode.Parse(File.ReadAllText(_folder.File("answers.json")))!.AsArray();
        foreach (int row in (int[])[0, 2, 3, 4]) Assert.Equal($"answer {row}", (string?)again[row]!["Answer"]);
    }

    [Fact]
    public void Half_a_character_in_a_field_that_nobody_reads_is_a_bad_row_not_a_failed_run()
    {
        File.WriteAllText(_folder.File("rows.json"), """
            [{"ImageName": "NAME", "Question": "First?", "note": "\ud83d"}, {"ImageName": "NAME", "Question": "Second?"}]
            """.Replace("NAME", OddName, StringComparison.Ordinal));
        Assert.Contains("rows.json: row 0: a string is not valid Unicode", Run("stop").Expect(1).Error, StringComparison.Ordinal);
        Assert.Contains("left out: rows.json: row 0", Run("skip").Expect(0).Error, StringComparison.Ordinal);
        Assert.Single(JsonNode.Parse(File.ReadAllText(_folder.File("answers.json")))!.AsArray());
    }

    private static string[] Progress(Finished finished) => [.. finished.Expect(0).Error.Split('\n').Where(line => line.EndsWith("/5", StringComparison.Ordinal))];

    private Finished Predict() => Run("stop");

    private Finished Run(string onBadRow) => GemmacoreProcess.RunIn(
        _folder.Path, "predict", "demo", "--data", "rows.json", "--out", "answers.json", "--max-tokens", "2", "--batch", "1", "--prompts", "question", "--on-bad-row", onBadRow);
}
