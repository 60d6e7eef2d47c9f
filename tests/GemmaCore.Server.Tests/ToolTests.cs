using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net;
using System.Text.Json;
using GemmaCore.Generation;
using GemmaCore.Generation.Tools;
using GemmaCore.Inputs;
using OpenAI;
using OpenAI.Chat;
using ChatMessage = OpenAI.Chat.ChatMessage;
using OurMessage = GemmaCore.Inputs.ChatMessage;

namespace GemmaCore.Server.Tests;

/// <summary>Tools through the official SDK. The embedded model knows nothing of tools, so calls are required of it.</summary>
public sealed class ToolTests(SharedServer shared) : IClassFixture<SharedServer>
{
    private const string Parameters =
        """{"type":"object","properties":{"series":{"type":"string","maxLength":8},"slice":{"type":"integer","minimum":1,"maximum":300},"window":{"enum":["lung","bone"]}},"required":["series","slice"],"additionalProperties":false}""";

    private static readonly ChatTool Show = ChatTool.CreateFunctionTool("show_slice", "Shows a slice of a study.", BinaryData.FromString(Parameters));

    private static readonly ChatTool Stop = ChatTool.CreateFunctionTool("stop");

    private static readonly Tool[] Ours = [new("show_slice", "Shows a slice of a study.", Parameters), new("stop", null, null)];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(0)]
    [InlineData(1.3)]
    public async Task A_required_call_comes_with_arguments_by_its_schema(float temperature)
    {
        ChatCompletionOptions options = Options(temperature, ChatToolChoice.CreateRequiredChoice(), Show, Stop);
        // A required answer may be of sixteen calls, each of a hundred tokens where they are drawn at random: 41 of 3001 seeds took more than 200 tokens.
        options.MaxOutputTokenCount = 2400;
        ChatCompletion completion = await Chat().CompleteChatAsync([new UserChatMessage("Show slice 12.")], options, Token);
        Assert.Equal(ChatFinishReason.ToolCalls, completion.FinishReason);
        Assert.Empty(completion.Content);
        Assert.NotEmpty(completion.ToolCalls);
        Assert.All(completion.ToolCalls, AssertValid);
        Assert.Equal(completion.ToolCalls.Count, completion.ToolCalls.Select(call => call.Id).Distinct().Count());
    }

    [Fact]
    public async Task A_named_call_is_of_that_function_and_comes_streamed_too()
    {
        ChatCompletionOptions options = Options(0, ChatToolChoice.CreateFunctionChoice("show_slice"), Stop, Show);
        ChatCompletion whole = await Chat().CompleteChatAsync([new UserChatMessage("Show slice 12.")], options, Token);
        Assert.Equal("show_slice", Assert.Single(whole.ToolCalls).FunctionName);
        AssertValid(whole.ToolCalls[0]);

        string name = "", arguments = "", id = "", text = "";
        ChatFinishReason? reason = null;
        await foreach (StreamingChatCompletionUpdate update in Chat().CompleteChatStreamingAsync([new UserChatMessage("Show slice 12.")], options, Token))
        {
            foreach (StreamingChatToolCallUpdate call in update.ToolCallUpdates)
            {
                Assert.Equal(0, call.Index);
                (name, id) = (name + call.FunctionName, id + call.ToolCallId);
                arguments += call.FunctionArgumentsUpdate?.ToString();
            }

            foreach (ChatMessageContentPart part in update.ContentUpdate) text += part.Text;
            reason ??= update.FinishReason;
        }

        Assert.Equal(("show_slice", whole.ToolCalls[0].FunctionArguments.ToString(), "", ChatFinishReason.ToolCalls), (name, arguments, text, reason));
        Assert.StartsWith("call_", id, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tools_calls_and_results_are_in_the_prompt()
    {
        string system = ToolPrompt.Instructions(Ours);
        OurMessage[] ours =
        [
            OurMessage.FromText(ChatRole.System, "Be short.\n\n" + system), OurMessage.FromText(ChatRole.User, "Show slice 12."),
            OurMessage.FromText(ChatRole.Assistant, """{"name": "show_slice", "parameters": {"series": "a", "slice": 12}}"""),
            OurMessage.FromText(ChatRole.User, """{"name":"show_slice","response":{"shown": true}}""" + "\nWhat is there?"),
        ];
        var call = ChatToolCall.CreateFunctionToolCall("call_1", "show_slice", BinaryData.FromString("""{"series": "a", "slice": 12}"""));
        ChatMessage[] theirs =
        [
            new SystemChatMessage("Be short."), new UserChatMessage("Show slice 12."), new AssistantChatMessage([call]), new ToolChatMessage("call_1", """{"shown": true}"""), new UserChatMessage("What is there?"),
        ];
        GenerationResult expected = shared.Server.Expect(ours, new SamplingParams { MaxTokens = 24 });
        ChatCompletion completion = await Chat().CompleteChatAsync(theirs, Options(0, ChatToolChoice.CreateAutoChoice(), Show, Stop), Token);
        Assert.Equal((expected.PromptTokenCount, expected.Text), (completion.Usage.InputTokenCount, completion.Content[0].Text));

        // A model that may not call is not told of tools.
        ChatCompletion none = await Chat().CompleteChatAsync([new UserChatMessage("Show slice 12.")], Options(0, ChatToolChoice.CreateNoneChoice(), Show, Stop), Token);
        Assert.Equal(shared.Server.Expect([OurMessage.FromText(ChatRole.User, "Show slice 12.")], new SamplingParams { MaxTokens = 24 }).PromptTokenCount, none.Usage.InputTokenCount);
    }

    [Fact]
    public async Task One_call_at_a_time_where_that_is_asked_for()
    {
        for (int seed = 0; seed < 6; seed++)
        {
            (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync("/v1/chat/completions",
                "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":200,\"temperature\":1.2,\"seed\":" + seed + ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"strict\":true,\"parameters\":{\"properties\":{\"n\":{\"type\":\"integer\"}},\"required\":[\"n\"]}}}]}");
            Assert.True(status == HttpStatusCode.OK, reply.ToString());
            JsonElement message = reply.GetProperty("choices")[0].GetProperty("message");
            Assert.Equal(JsonValueKind.Null, message.GetProperty("content").ValueKind);
            JsonElement call = Assert.Single(message.GetProperty("tool_calls").EnumerateArray());
            Assert.Equal(JsonValueKind.Number, JsonDocument.Parse(call.GetProperty("function").GetProperty("arguments").GetString()!).RootElement.GetProperty("n").ValueKind);
            Assert.False(call.TryGetProperty("index", out _));
        }
    }

    [Fact]
    public async Task A_function_that_is_named_is_called_once_also_where_it_is_the_only_one()
    {
        for (int seed = 0; seed < 12; seed++)
        {
            (_, JsonElement reply) = await shared.Server.PostAsync("/v1/chat/completions",
                "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":300,\"temperature\":1.2,\"seed\":" + seed + ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}");
            Assert.Single(reply.GetProperty("choices")[0].GetProperty("message").GetProperty("tool_calls").EnumerateArray());
        }
    }

    // Both at once, as OpenAI's API has it: a call, or the answer in its form; required, it is a call.
    [Theory]
    [InlineData("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":{\"type\":\"object\",\"properties\":{\"side\":{\"enum\":[\"left\",\"right\"]}},\"required\":[\"side\"],\"additionalProperties\":false}}}")]
    [InlineData("\"structured_outputs\":{\"choice\":[\"{\\\"side\\\":\\\"left\\\"}\",\"{\\\"side\\\":\\\"right\\\"}\"]}")]
    public async Task An_answer_in_a_form_beside_tools_is_that_or_a_call(string form)
    {
        string fields = $"\"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}],\"max_tokens\":300,\"temperature\":1.2,\"parallel_tool_calls\":false,{form},\"tools\":[{{\"type\":\"function\",\"function\":{{\"name\":\"f\",\"parameters\":{{\"properties\":{{\"n\":{{\"type\":\"integer\",\"minimum\":0,\"maximum\":9}}}},\"required\":[\"n\"]}}}}}}]";
        for (int seed = 0; seed < 8; seed++)
        {
            string choice = seed < 6 ? "auto" : "required";
            (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync("/v1/chat/completions", $"{{{fields},\"tool_choice\":\"{choice}\",\"seed\":{seed}}}");
            Assert.True(status == HttpStatusCode.OK, reply.ToString());
            JsonElement message = reply.GetProperty("choices")[0].GetProperty("message");
            if (message.TryGetProperty("tool_calls", out JsonElement calls))
                Assert.InRange(JsonDocument.Parse(calls[0].GetProperty("function").GetProperty("arguments").GetString()!).RootElement.GetProperty("n").GetInt32(), 0, 9);
            else Assert.Contains(JsonDocument.Parse(message.GetProperty("content").GetString()!).RootElement.GetProperty("side").GetString(), (string?[])["left", "right"]);
            if (choice == "required") Assert.Equal("tool_calls", reply.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        }
    }

    [Fact]
    public async Task A_call_that_is_cut_off_is_text()
    {
        (_, JsonElement reply) = await shared.Server.PostAsync("/v1/chat/completions",
            "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":3,\"tool_choice\":\"required\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"some_function\"}}]}");
        JsonElement choice = reply.GetProperty("choices")[0];
        Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
        Assert.NotEqual("", choice.GetProperty("message").GetProperty("content").GetString());
    }

    private static void AssertValid(ChatToolCall call)
    {
        JsonElement arguments = JsonDocument.Parse(call.FunctionArguments).RootElement;
        if (call.FunctionName == "stop")
        {
            Assert.Empty(arguments.EnumerateObject());
            return;
        }

        Assert.Equal("show_slice", call.FunctionName);
        Assert.InRange(arguments.GetProperty("slice").GetInt32(), 1, 300);
        Assert.InRange(arguments.GetProperty("series").GetString()!.EnumerateRunes().Count(), 0, 8);
    }

    private static ChatCompletionOptions Options(float temperature, ChatToolChoice choice, params ChatTool[] tools)
    {
        var options = new ChatCompletionOptions { Temperature = temperature, MaxOutputTokenCount = 200, ToolChoice = choice };
        foreach (ChatTool tool in tools) options.Tools.Add(tool);
        return options;
    }

    private ChatClient Chat() => new(RunningServer.ModelName, new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = shared.Server.Endpoint, RetryPolicy = new ClientRetryPolicy(0) });
}
