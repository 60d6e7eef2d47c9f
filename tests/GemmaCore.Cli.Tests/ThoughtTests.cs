using System.Text.Json.Nodes;

namespace GemmaCore.Cli.Tests;

/// <summary>What a model thinks before it answers, on the command line. The embedded model never does, so a regular expression makes it.</summary>
public sealed class ThoughtTests
{
    private static readonly string[] Question = ["generate", "demo", "--prompt", "What is it?", "--regex", "<unused94>thought\nIs it round\\? Yes\\.<unused95>A cyst\\.", "--temperature", "0"];

    [Fact]
    public void The_answer_is_on_stdout_and_the_thought_on_stderr()
    {
        Finished run = GemmacoreProcess.Run(Question).Expect(0);
        Assert.Equal("A cyst.\n", run.Output);
        Assert.Equal("thought: Is it round? Yes.", run.Error.TrimEnd());
    }

    [Fact]
    public void The_document_has_both_and_of_no_thought_says_nothing()
    {
        JsonNode document = JsonNode.Parse(GemmacoreProcess.Run([.. Question, "--json"]).Expect(0).Output)!;
        Assert.Equal(("A cyst.", "Is it round? Yes."), (document["text"]!.ToString(), document["reasoning"]!.ToString()));
        Assert.Null(JsonNode.Parse(GemmacoreProcess.Run("generate", "demo", "--prompt", "What is it?", "--json", "--max-tokens", "4").Expect(0).Output)!["reasoning"]);
    }

    [Fact]
    public void An_answer_that_ends_in_its_thought_is_an_empty_line()
    {
        Finished run = GemmacoreProcess.Run([.. Question, "--max-tokens", "24"]).Expect(0);
        Assert.Equal("\n", run.Output);
        Assert.Contains("thought: Is", run.Error, StringComparison.Ordinal);
    }
}
