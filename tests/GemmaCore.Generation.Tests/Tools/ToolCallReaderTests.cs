using GemmaCore.Generation.Constraints;
using GemmaCore.Generation.Tests.Constraints;
using GemmaCore.Generation.Tools;
using GemmaCore.Inputs;

namespace GemmaCore.Generation.Tests.Tools;

public sealed class ToolCallReaderTests
{
    private static readonly Tool[] Tools = [new("look", "Looks.", """{"type":"object","properties":{"at":{"type":"string","maxLength":6}},"required":["at"]}"""), new("stop", null, null)];

    [Theory]
    [InlineData("""{"name": "look", "parameters": {"at": "x"}}""", """look({"at": "x"})""")]
    [InlineData("""  {"name":"stop"} """, "stop({})")]
    [InlineData("""[{"name": "stop", "parameters": {}}, {"name": "look", "arguments": {"at": "y"}}]""", """stop({}) look({"at": "y"})""")]
    [InlineData("```json\n{\"name\": \"stop\", \"parameters\": {}}\n```", "stop({})")]
    [InlineData("```tool_code\n{\"name\": \"stop\", \"parameters\": {}}", "stop({})")]
    [InlineData("""{"name": "unknown", "parameters": {}}""", null)]
    [InlineData("""{"name": "stop", "parameters": []}""", null)]
    [InlineData("""{"name": "stop", "parameters": {}} and more""", null)]
    [InlineData("""Call {"name": "stop"}""", null)]
    [InlineData("""{"name": 3}""", null)]
    [InlineData("""{"name": "\ud800"}""", null)]
    [InlineData("[]", null)]
    [InlineData("```python\nprint(1)\n```", null)]
    [InlineData("", null)]
    public void An_answer_that_is_nothing_but_calls_is_read_as_calls(string answer, string? expected)
    {
        bool found = ToolCallReader.TryRead(answer, Tools, out IReadOnlyList<ToolCall> calls);
        Assert.Equal(expected, found ? string.Join(' ', calls.Select(call => $"{call.Name}({call.Arguments})")) : null);
        // Held back as long as it could be one.
        if (found)
            for (int length = 0; length <= answer.Length; length++) Assert.True(ToolCallReader.MayBecomeCall(answer[..length]), answer[..length]);
    }

    [Theory]
    [InlineData("The")]
    [InlineData("{\"finding\"")]
    [InlineData("{ \"name\" =")]
    [InlineData("[1")]
    [InlineData("`code`")]
    [InlineData("```python\n")]
    [InlineData("```json\n{\"a")]
    [InlineData("```c")]
    public void What_can_be_no_call_is_not_held_back(string beginning) => Assert.False(ToolCallReader.MayBecomeCall(beginning));

    [Fact]
    public void A_required_call_can_always_be_read()
    {
        // One of its own: what it keeps must not make room for other tests' constraints.
        var compiler = new ConstraintCompiler(DemoVocabulary.Tokenizer);
        Constraint one = compiler.ToolCalls(Tools, 1), several = compiler.ToolCalls(Tools, 3);
        int calls = 0, lists = 0;
        for (ulong seed = 0; seed < 80; seed++)
        {
            (string text, bool whole) = DemoVocabulary.Draw(seed % 2 == 0 ? one : several, seed, 400);
            if (!whole) continue;
            Assert.True(ToolCallReader.TryRead(text, Tools, out IReadOnlyList<ToolCall> read), text);
            Assert.InRange(read.Count, 1, seed % 2 == 0 ? 1 : 3);
            (calls, lists) = (calls + read.Count, lists + (text.StartsWith('[') ? 1 : 0));
        }

        Assert.InRange(calls, 40, 400);
        Assert.InRange(lists, 1, 40);
        Assert.Same(one, compiler.ToolCalls(Tools, 1));
    }

    [Fact]
    public void An_answer_in_a_form_or_a_call_is_one_of_the_two()
    {
        var compiler = new ConstraintCompiler(DemoVocabulary.Tokenizer);
        Constraint answer = compiler.JsonSchema("""{"type":"object","properties":{"name":{"enum":["cyst","polyp"]}},"required":["name"],"additionalProperties":false}"""), either = compiler.OrToolCalls(answer, Tools, 1);
        int calls = 0, answers = 0;
        for (ulong seed = 0; seed < 80; seed++)
        {
            (string text, bool whole) = DemoVocabulary.Draw(either, seed, 400);
            if (!whole) continue;
            bool isCall = ToolCallReader.TryRead(text, Tools, out _);
            Assert.True(isCall != answer.Allows(text), text);
            (calls, answers) = (calls + (isCall ? 1 : 0), answers + (isCall ? 0 : 1));
        }

        Assert.InRange(calls, 5, 75);
        Assert.InRange(answers, 5, 75);
        Assert.False(answer.Allows(string.Concat("{\"name\": \"", Tools[0].Name, "\", \"parameters\": {}}")));
        Assert.Same(either, compiler.OrToolCalls(answer, Tools, 1));
        Assert.NotSame(either, compiler.OrToolCalls(compiler.JsonObject(), Tools, 1));
    }

    [Fact]
    public void Schemas_that_are_not_supported_are_refused_by_the_name_of_the_tool()
    {
        Tool[] tools = [new("good", null, null), new("bad", null, """{"type":"object","minProperties":1}""")];
        string message = Assert.Throws<InputException>(() => DemoVocabulary.Compiler.ToolCalls(tools, 1)).Message;
        Assert.Equal("the parameters of 'bad': $: the keyword 'minProperties' is not supported", message);
    }

    [Fact]
    public void The_prompt_is_as_documented()
    {
        Assert.Equal(
            """
            You have access to functions. If you decide to invoke any of the function(s),
            you MUST put it in the format of
            {"name": function name, "parameters": dictionary of argument name and its value}

            You SHOULD NOT include any other text in the response if you call a function
            [
              {"name":"look","description":"Looks.","parameters":{"type":"object","properties":{"at":{"type":"string","maxLength":6}},"required":["at"]}},
              {"name":"stop","parameters":{"type": "object", "properties": {}}}
            ]
            """,
            ToolPrompt.Instructions(Tools));
        Assert.Equal("""{"name":"look","response":"two\nlines"}""", ToolPrompt.Result("look", "two\nlines"));
        Assert.Equal("""{"name":"look","response":[1]}""", ToolPrompt.Result("look", "[1]"));
        Assert.Equal("""{"name":"look","response":"{broken"}""", ToolPrompt.Result("look", "{broken"));
    }

    [Fact]
    public void Turns_of_the_user_are_joined_and_pictures_stay_in_their_places()
    {
        var picture = new ImagePart(ImageSource.FromBytes(new byte[1]));
        IReadOnlyList<ChatMessage> joined = ToolPrompt.JoinUserTurns(
            [ChatMessage.FromText(ChatRole.User, "a"), ChatMessage.FromText(ChatRole.User, "b"), new ChatMessage(ChatRole.User, [picture, new TextPart("c")]), ChatMessage.FromText(ChatRole.Assistant, "d")]);
        Assert.Equal(2, joined.Count);
        Assert.Equal([new TextPart("a\nb"), picture, new TextPart("c")], joined[0].Content);
    }
}
