using System.Text.Json.Nodes;

namespace GemmaCore.Cli.Tests;

public sealed class VerifyTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_embedded_model_answers_as_transformers_does()
    {
        JsonNode report = Report("verify", "demo", "--json");
        Assert.Equal((27, 27), (report["transformers"]!["answers"]!.GetValue<int>(), report["transformers"]!["equal"]!.GetValue<int>()));
        Assert.InRange(report["transformers"]!["largest_logprob_difference"]!.GetValue<double>(), 0, 1e-3);
        Assert.True(report["bar"]!["holds"]!.GetValue<bool>());
        Assert.Empty(report["prompts"]!.AsArray());
        Assert.Contains("27 of 27 greedy answers equal", GemmacoreProcess.Run("verify", "demo").Expect(0).Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Quantised_weights_have_figures_and_no_bar()
    {
        JsonNode report = Report("verify", "demo", "--quantize", "int8", "--tokens", "4", "--json");
        Assert.Null(report["bar"]);
        Assert.Equal(3, report["prompts"]!.AsArray().Count);
        Assert.Equal(12, report["all"]!["tokens"]!.GetValue<int>());
        Assert.InRange(report["all"]!["relative_difference"]!.GetValue<double>(), 1e-5, 0.05);

        Finished table = GemmacoreProcess.Run("verify", "demo", "--quantize", "int8", "--tokens", "4", "--prompt", "Where is it?");
        Assert.Contains("Where is it?", table.Expect(0).Output, StringComparison.Ordinal);
    }

    // A card that computes in fp32 has the bar of the CPU; the others are a minute of simulation each.
    [Fact]
    public void A_card_is_held_against_the_CPU()
    {
        string[] arguments = ["verify", "demo", "--device", "cuda", "--tokens", "2", "--prompt", "Where?", "--json"];
        Finished run = SimulatedCards.Run(_folder.Path, SimulatedCards.Environ("gtx1650", _folder.File("cache")), arguments).Expect(0);
        JsonNode report = JsonNode.Parse(run.Output)!;
        Assert.True(report["bar"]!["holds"]!.GetValue<bool>());
        Assert.Equal(27, report["transformers"]!["equal"]!.GetValue<int>());
        Assert.InRange(report["all"]!["relative_difference"]!.GetValue<double>(), double.Epsilon, 1e-4);
    }

    [Theory]
    [InlineData("what others are compared with", "--adapter", "tests/goldens/adapters/qv_list_r4")]
    [InlineData("--tokens", "--tokens", "0")]
    [InlineData("--image goes with --prompt", "--image", "x.png")]
    public void What_makes_no_sense_is_one_line(string words, params string[] arguments)
    {
        string[] there = [.. arguments.Select(word => word.Contains('/', StringComparison.Ordinal) ? Testing.Goldens.RepositoryPath(word) : word)];
        Assert.Contains(words, GemmacoreProcess.Run(["verify", "demo", .. there]).Expect(2).Error.Trim().Split('\n')[^1], StringComparison.Ordinal);
    }

    private static JsonNode Report(params string[] arguments) => JsonNode.Parse(GemmacoreProcess.Run(arguments).Expect(0).Output)!;
}
