using GemmaCore.Generation.Tools;
using GemmaCore.Server.OpenAi;
using GemmaCore.Server.OpenAi.Tools;

namespace GemmaCore.Server.Tests;

/// <summary>An answer of a model that may think and may call or not, as it comes.</summary>
public sealed class ChatAnswerTests
{
    private static readonly ToolFields May = new([new Tool("stop", null, null)], null, Parallel: true);

    [Theory]
    [InlineData("A cyst.", "A cyst.")]
    [InlineData("{\"finding\": \"a cyst\"}", "{\"finding\": \"a cyst\"}")]
    [InlineData("{\"name\": \"other\"}", "{\"name\": \"other\"}")]
    [InlineData("```python\nx\n```", "```python\nx\n```")]
    [InlineData("", "")]
    public void Text_comes_out_whole(string answer, string expected)
    {
        (string text, string rest, IReadOnlyList<ToolCallReport>? calls) = Run(May, answer);
        Assert.Equal((expected, null), (text + rest, calls));
    }

    [Fact]
    public void Text_is_not_held_back_longer_than_it_could_be_a_call()
    {
        Assert.Equal("A cyst.", Run(May, "A cyst.").Text);
        Assert.Equal("{\"finding\": 1}", Run(May, "{\"finding\": 1}").Text);
    }

    [Theory]
    [InlineData("{\"name\": \"stop\", \"parameters\": {}}", 1)]
    [InlineData("[{\"name\": \"stop\"}, {\"name\": \"stop\"}]", 2)]
    [InlineData("```json\n{\"name\": \"stop\"}\n```", 1)]
    public void Calls_come_out_at_the_end_numbered(string answer, int count)
    {
        (string text, string rest, IReadOnlyList<ToolCallReport>? calls) = Run(May, answer);
        Assert.Equal("", text + rest);
        Assert.Equal(Enumerable.Range(0, count), ChatAnswer.Numbered(calls!).Select(call => call.Index!.Value));
        Assert.Single(Run(May with { Parallel = false }, answer).Calls!);
    }

    [Fact]
    public void Without_tools_everything_is_text()
    {
        (string text, _, IReadOnlyList<ToolCallReport>? calls) = Run(new ToolFields([], null, true), "{\"name\": \"stop\"}");
        Assert.Equal(("{\"name\": \"stop\"}", null), (text, calls));
    }

    [Fact]
    public void A_call_behind_a_thought_is_a_call_and_text_behind_one_is_text()
    {
        (string text, string rest, IReadOnlyList<ToolCallReport>? calls) = Run(May, "<unused94>thought\nStop?<unused95>{\"name\": \"stop\"}");
        Assert.Equal(("", "stop"), (text + rest, Assert.Single(calls!).Function.Name));
        (text, rest, calls) = Run(May, "<unused94>thought\nStop?<unused95>\nNo.");
        Assert.Equal(("No.", null), (text + rest, calls));
    }

    private static (string Text, string Tail, IReadOnlyList<ToolCallReport>? Calls) Run(ToolFields tools, string answer)
    {
        var stream = new ChatAnswer(tools);
        string text = string.Concat(answer.Select(character => stream.Push(character.ToString()).Text));
        (_, string rest, IReadOnlyList<ToolCallReport>? calls) = stream.Finish();
        return (text, rest, calls);
    }
}
