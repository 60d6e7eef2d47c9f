using GemmaCore.Generation;
using GemmaCore.Inputs;
using Microsoft.Extensions.AI;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;
using ChatRole = Microsoft.Extensions.AI.ChatRole;

namespace GemmaCore.Extensions.AI.Tests;

/// <summary>Whatever is not honoured is refused by name, before anything is computed.</summary>
public sealed class RefusalTests(LoadedClient loaded) : IClassFixture<LoadedClient>
{
    // How each option of the package's present version is taken: a version with another one has to be looked at.
    private static readonly string[] Honoured =
        ["Instructions", "Temperature", "MaxOutputTokens", "TopP", "TopK", "FrequencyPenalty", "PresencePenalty", "Seed", "ModelId", "StopSequences", "RawRepresentationFactory",
            "ResponseFormat", "ToolMode", "Tools", "AllowMultipleToolCalls"];

    private static readonly string[] Refused =
        ["ConversationId", "Reasoning", "AllowBackgroundResponses", "ContinuationToken", "AdditionalProperties"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static TheoryData<string> RefusedOptions => [.. Refused];

    [Fact]
    public void Every_option_of_the_package_is_honoured_or_refused() =>
        Assert.Equal([.. ((string[])[.. Honoured, .. Refused]).Order()], typeof(ChatOptions).GetProperties().Select(property => property.Name).Order());

    [Theory]
    [MemberData(nameof(RefusedOptions))]
    public async Task An_option_that_is_not_honoured_is_refused_by_its_name(string name)
    {
        var options = new ChatOptions();
        switch (name)
        {
            case "ConversationId": options.ConversationId = "c1"; break;
            case "Reasoning": options.Reasoning = new ReasoningOptions { Effort = ReasoningEffort.High }; break;
            case "AllowBackgroundResponses": options.AllowBackgroundResponses = true; break;
            case "ContinuationToken": options.ContinuationToken = ResponseContinuationToken.FromBytes(new byte[1]); break;
            case "AdditionalProperties": options.AdditionalProperties = new() { ["min_p"] = 0.1 }; break;
        }

        var error = await Assert.ThrowsAsync<NotSupportedException>(() => loaded.Client.GetResponseAsync("x", options, Token));
        Assert.Matches($"^ChatOptions\\.{name}(\\['min_p'\\])? is not supported: \\w", error.Message);
        await Assert.ThrowsAsync<NotSupportedException>(async () => await loaded.Client.GetStreamingResponseAsync("x", options, Token).ToListAsync(Token));
    }

    [Fact]
    public async Task Options_that_ask_for_nothing_are_taken()
    {
        var options = new ChatOptions
        {
            MaxOutputTokens = 1, ResponseFormat = ChatResponseFormat.Text, Tools = [], ToolMode = ChatToolMode.Auto, AllowMultipleToolCalls = true, AllowBackgroundResponses = false,
            Reasoning = new ReasoningOptions { Effort = ReasoningEffort.None }, AdditionalProperties = [], StopSequences = [], RawRepresentationFactory = _ => null,
        };
        Assert.Equal(1, (await loaded.Client.GetResponseAsync("x", options, Token)).Usage!.OutputTokenCount);
    }

    [Theory]
    [InlineData("Temperature")]
    [InlineData("TopP")]
    [InlineData("TopK")]
    [InlineData("MaxTokens")]
    [InlineData("PresencePenalty")]
    [InlineData("Stop")]
    public async Task A_value_that_makes_no_sense_is_refused_by_its_name(string name)
    {
        ChatOptions options = name switch
        {
            "Temperature" => new() { Temperature = -1 },
            "TopP" => new() { TopP = 0 },
            "TopK" => new() { TopK = -2 },
            "MaxTokens" => new() { MaxOutputTokens = 0 },
            "PresencePenalty" => new() { PresencePenalty = 3 },
            _ => new() { StopSequences = [""] },
        };
        var error = await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => loaded.Client.GetResponseAsync("x", options, Token));
        Assert.Equal(name, error.ParamName);
    }

    [Fact]
    public async Task Content_that_the_model_does_not_take_is_refused_by_its_name()
    {
        async Task<string> Complaint(AIContent content, ChatRole? role = null) =>
            (await Assert.ThrowsAsync<NotSupportedException>(() => loaded.Client.GetResponseAsync([new ChatMessage(role ?? ChatRole.User, [content])], null, Token))).Message;
        Assert.Contains("audio/wav", await Complaint(new DataContent(new byte[4], "audio/wav")), StringComparison.Ordinal);
        Assert.Contains("nothing is fetched", await Complaint(new UriContent("https://example.org/a.png", "image/png")), StringComparison.Ordinal);
        Assert.Contains("FunctionCallContent", await Complaint(new FunctionCallContent("1", "f"), ChatRole.User), StringComparison.Ordinal);
        Assert.Contains("TextContent", await Complaint(new TextContent("x"), ChatRole.Tool), StringComparison.Ordinal);
        Assert.Contains("role 'narrator'", await Complaint(new TextContent("x"), new ChatRole("narrator")), StringComparison.Ordinal);
        Assert.Contains("only the user's", await Complaint(new DataContent(new byte[4], "image/png"), ChatRole.Assistant), StringComparison.Ordinal);
        var wrongFactory = await Assert.ThrowsAsync<NotSupportedException>(() => loaded.Client.GetResponseAsync("x", new ChatOptions { RawRepresentationFactory = _ => "?" }, Token));
        Assert.Contains("it gave String; expected SamplingParams", wrongFactory.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_conversation_that_cannot_be_put_to_the_model_says_why()
    {
        await Assert.ThrowsAsync<InputException>(() => loaded.Client.GetResponseAsync([new ChatMessage(ChatRole.Assistant, "x")], null, Token));
        var damaged = await Assert.ThrowsAsync<InputException>(
            () => loaded.Client.GetResponseAsync([new ChatMessage(ChatRole.User, [new DataContent("not a picture"u8.ToArray(), "image/png"), new TextContent("?")])], null, Token));
        Assert.Contains("not a PNG", damaged.Message, StringComparison.Ordinal);
        var model = (GemmaModel)loaded.Client.GetService(typeof(GemmaModel))!;
        string tooLong = string.Concat(Enumerable.Repeat("lesion ", model.Model.Layout.MaxPositions));
        Assert.Contains("positions", (await Assert.ThrowsAsync<InputException>(() => loaded.Client.GetResponseAsync(tooLong, null, Token))).Message, StringComparison.Ordinal);
    }
}
