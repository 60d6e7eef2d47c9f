using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using GemmaCore.Generation;
using GemmaCore.Generation.Tools;
using GemmaCore.Inputs;
using Microsoft.Extensions.AI;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;
using ChatRole = Microsoft.Extensions.AI.ChatRole;
using OurMessage = GemmaCore.Inputs.ChatMessage;
using OurRole = GemmaCore.Inputs.ChatRole;

namespace GemmaCore.Extensions.AI.Tests;

/// <summary>Answers of a certain form, and tools. The embedded model knows nothing of tools, so calls are required of it.</summary>
public sealed class StructuredTests(LoadedClient loaded) : IClassFixture<LoadedClient>
{
    private static readonly AIFunction Show = AIFunctionFactory.Create(
        ([Description("Which series.")] Series series, [Description("From 1."), Range(1, 300)] int slice) => $"{series} {slice} is shown", "show_slice", "Shows a slice of a study.");

    private static readonly AIFunction Stop = AIFunctionFactory.Create(() => "stopped", "stop", "Stops.");

    public enum Series
    {
        Axial,
        Coronal,
    }

    public enum Side
    {
        Left,
        Right,
    }

    public sealed record Finding(string Name, Side Side, double[] Box, bool Malignant);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(0)]
    [InlineData(1.5)]
    public async Task A_typed_answer_is_of_its_type(float temperature)
    {
        var options = new ChatOptions { Temperature = temperature, Seed = 3, MaxOutputTokens = 400 };
        ChatResponse<Finding> response = await loaded.Client.GetResponseAsync<Finding>([LoadedClient.Asked], options, cancellationToken: Token);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        Assert.NotNull(response.Result.Name);
        Assert.True(Enum.IsDefined(response.Result.Side));
    }

    [Fact]
    public async Task A_json_answer_without_a_schema_is_an_object_streamed_too()
    {
        var options = new ChatOptions { Temperature = 0, MaxOutputTokens = 400, ResponseFormat = ChatResponseFormat.Json };
        string whole = (await loaded.Client.GetResponseAsync([LoadedClient.Asked], options, Token)).Text;
        Assert.Equal(whole, (await loaded.Client.GetStreamingResponseAsync([LoadedClient.Asked], options, Token).ToChatResponseAsync(Token)).Text);
        Assert.Equal(JsonValueKind.Object, JsonDocument.Parse(whole).RootElement.ValueKind);
    }

    [Fact]
    public async Task A_required_call_has_arguments_by_the_functions_schema_streamed_too()
    {
        var options = new ChatOptions { Temperature = 0, MaxOutputTokens = 400, Tools = [Show, Stop], ToolMode = ChatToolMode.RequireSpecific("show_slice") };
        ChatResponse whole = await loaded.Client.GetResponseAsync("Show slice 12.", options, Token);
        ChatResponse streamed = await loaded.Client.GetStreamingResponseAsync("Show slice 12.", options, Token).ToChatResponseAsync(Token);
        foreach (ChatResponse response in (ChatResponse[])[whole, streamed])
        {
            FunctionCallContent call = Assert.Single(response.Messages.Single().Contents.OfType<FunctionCallContent>());
            Assert.Equal((ChatFinishReason.ToolCalls, "show_slice", ""), (response.FinishReason, call.Name, response.Text));
            Assert.Null(call.Exception);
            Assert.True(Enum.TryParse<Series>(((JsonElement)call.Arguments!["series"]!).GetString(), out _));
            Assert.Equal(JsonValueKind.Number, ((JsonElement)call.Arguments["slice"]!).ValueKind);
        }
    }

    [Fact]
    public async Task Functions_are_invoked_and_their_results_go_back_to_the_model()
    {
        IChatClient pipeline = loaded.Client.AsBuilder().UseFunctionInvocation().Build();
        var options = new ChatOptions { Temperature = 0, MaxOutputTokens = 400, Tools = [Show], ToolMode = ChatToolMode.RequireAny, AllowMultipleToolCalls = false };
        ChatResponse response = await pipeline.GetResponseAsync("Show slice 12.", options, Token);
        FunctionCallContent call = Assert.Single(response.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>());
        FunctionResultContent result = Assert.Single(response.Messages.SelectMany(message => message.Contents).OfType<FunctionResultContent>());
        Assert.Equal(call.CallId, result.CallId);
        Assert.EndsWith("is shown", result.Result!.ToString(), StringComparison.Ordinal);
        Assert.Equal([ChatRole.Assistant, ChatRole.Tool, ChatRole.Assistant], response.Messages.Select(message => message.Role));
    }

    [Fact]
    public async Task A_function_that_is_named_is_called_once_also_where_it_is_the_only_one()
    {
        AIFunctionDeclaration only = AIFunctionFactory.CreateDeclaration("stop", "Stops.", JsonDocument.Parse("""{"type":"object","properties":{},"additionalProperties":false}""").RootElement);
        var options = new ChatOptions { Temperature = 1.2f, MaxOutputTokens = 400, Tools = [only], ToolMode = ChatToolMode.RequireSpecific("stop") };
        for (options.Seed = 0; options.Seed < 12; options.Seed++)
            Assert.Single((await loaded.Client.GetResponseAsync([LoadedClient.Asked], options, Token)).Messages[0].Contents.OfType<FunctionCallContent>());
    }

    // What an agent with functions and a typed answer asks for: a call first where one is required, then the answer in its form, or another call.
    [Fact]
    public async Task A_typed_answer_and_functions_go_together()
    {
        var options = new ChatOptions { Temperature = 1.2f, MaxOutputTokens = 1500, Tools = [Show], AllowMultipleToolCalls = false };
        for (int seed = 0; seed < 6; seed++)
        {
            options.Seed = seed;
            ChatResponse<Finding> free = await loaded.Client.GetResponseAsync<Finding>([LoadedClient.Asked], options, cancellationToken: Token);
            if (free.FinishReason == ChatFinishReason.ToolCalls) Assert.InRange(((JsonElement)Assert.Single(free.Messages[0].Contents.OfType<FunctionCallContent>()).Arguments!["slice"]!).GetInt32(), 1, 300);
            else Assert.True(Enum.IsDefined(free.Result.Side));
        }

        options.ToolMode = ChatToolMode.RequireAny;
        ChatResponse<Finding> called = await loaded.Client.GetResponseAsync<Finding>([LoadedClient.Asked], options, cancellationToken: Token);
        Assert.Single(called.Messages[0].Contents.OfType<FunctionCallContent>());
    }

    [Fact]
    public async Task Tools_calls_and_results_are_in_the_prompt()
    {
        string instructions = ToolPrompt.Instructions([new Tool("show_slice", Show.Description, Show.JsonSchema.GetRawText())]);
        OurMessage[] ours =
        [
            OurMessage.FromText(OurRole.System, "Be short.\n\n" + instructions), OurMessage.FromText(OurRole.User, "Show slice 12."),
            OurMessage.FromText(OurRole.Assistant, """{"name": "show_slice", "parameters": {"series":"Axial","slice":12}}"""),
            OurMessage.FromText(OurRole.User, """{"name":"show_slice","response":{"shown":true}}""" + "\nWhat is there?"),
        ];
        ChatMessage[] theirs =
        [
            new(ChatRole.User, "Show slice 12."),
            new(ChatRole.Assistant, [new FunctionCallContent("call_1", "show_slice", new Dictionary<string, object?> { ["series"] = "Axial", ["slice"] = 12 })]),
            new(ChatRole.Tool, [new FunctionResultContent("call_1", new Dictionary<string, object?> { ["shown"] = true })]), new(ChatRole.User, "What is there?"),
        ];
        var options = new ChatOptions { Temperature = 0, MaxOutputTokens = 24, Instructions = "Be short.", Tools = [Show] };
        GenerationResult expected = loaded.Expect(new SamplingParams { MaxTokens = 24 }, ours);
        ChatResponse response = await loaded.Client.GetResponseAsync(theirs, options, Token);
        Assert.Equal((expected.PromptTokenCount, expected.Text), ((int)response.Usage!.InputTokenCount!, response.Text));

        // A model that may not call is not told of tools.
        options.ToolMode = ChatToolMode.None;
        options.Instructions = null;
        Assert.Equal(
            loaded.Expect(new SamplingParams { MaxTokens = 24 }, OurMessage.FromText(OurRole.User, "Show slice 12.")).PromptTokenCount,
            (await loaded.Client.GetResponseAsync("Show slice 12.", options, Token)).Usage!.InputTokenCount);
    }

    [Fact]
    public async Task What_cannot_be_obeyed_is_refused()
    {
        async Task<Exception> Refused(ChatOptions options) => await Assert.ThrowsAnyAsync<Exception>(() => loaded.Client.GetResponseAsync("x", options, Token));
        Exception kind = await Refused(new() { Tools = [new HostedWebSearchTool()] });
        Assert.Equal("ChatOptions.Tools: HostedWebSearchTool is not supported: declare functions", Assert.IsType<NotSupportedException>(kind).Message);
        Assert.Contains("requires a call of other", Assert.IsType<ArgumentException>(await Refused(new() { Tools = [Show], ToolMode = ChatToolMode.RequireSpecific("other") })).Message, StringComparison.Ordinal);
        Assert.Contains("requires a call of a tool", Assert.IsType<ArgumentException>(await Refused(new() { ToolMode = ChatToolMode.RequireAny })).Message, StringComparison.Ordinal);
        JsonElement schema = JsonDocument.Parse("""{"type":"object","minProperties":2}""").RootElement;
        Assert.Contains("minProperties", Assert.IsType<InputException>(await Refused(new() { ResponseFormat = ChatResponseFormat.ForJsonSchema(schema) })).Message, StringComparison.Ordinal);
        var stray = await Assert.ThrowsAsync<ArgumentException>(() => loaded.Client.GetResponseAsync([new ChatMessage(ChatRole.Tool, [new FunctionResultContent("call_9", "x")])], null, Token));
        Assert.Contains("call_9", stray.Message, StringComparison.Ordinal);
    }
}
