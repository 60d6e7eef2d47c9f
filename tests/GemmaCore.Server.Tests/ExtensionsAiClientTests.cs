using System.ClientModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using Microsoft.Extensions.AI;
using OpenAI;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;
using ChatRole = Microsoft.Extensions.AI.ChatRole;
using OurMessage = GemmaCore.Inputs.ChatMessage;
using OurRole = GemmaCore.Inputs.ChatRole;

namespace GemmaCore.Server.Tests;

/// <summary>Microsoft.Extensions.AI over its own OpenAI adapter, unmodified, against the embedded model: what Semantic Kernel and Agent Framework would use.</summary>
public sealed class ExtensionsAiClientTests(SharedServer shared) : IClassFixture<SharedServer>
{
    private const string Question = "Describe the endoscopic finding.";

    private static readonly AIFunction Show = AIFunctionFactory.Create(([Range(1, 300)] int slice) => $"slice {slice} is shown", "show_slice", "Shows a slice of a study.");

    public enum Side
    {
        Left,
        Right,
    }

    // The adapter moves lengths and ranges into descriptions, where they bind nobody; enumerations stay.
    public sealed record Finding(Side Side, bool Malignant);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static ChatOptions Greedy => new() { Temperature = 0, MaxOutputTokens = 24 };

    private RunningServer Server => shared.Server;

    [Fact]
    public async Task A_chat_about_an_image_and_its_stream_give_the_answer_of_the_model()
    {
        GenerationResult expected = Server.Expect(
            [new OurMessage(OurRole.User, [new ImagePart(ImageSource.FromFile(RunningServer.Picture("colon"))), new TextPart(Question)])], new SamplingParams { MaxTokens = 24 });
        var asked = new ChatMessage(ChatRole.User, [new DataContent(await File.ReadAllBytesAsync(RunningServer.Picture("colon"), Token), "image/jpeg"), new TextContent(Question)]);
        ChatResponse whole = await Chat().GetResponseAsync([asked], Greedy, Token);
        ChatResponse streamed = await Chat().GetStreamingResponseAsync([asked], Greedy, Token).ToChatResponseAsync(Token);
        Assert.Equal((expected.Text, expected.Text), (whole.Text, streamed.Text));
        Assert.Equal((ChatFinishReason.Stop, ChatFinishReason.Stop), (whole.FinishReason, streamed.FinishReason));
        Assert.Equal((expected.PromptTokenCount, expected.Tokens.Count), (whole.Usage!.InputTokenCount, whole.Usage.OutputTokenCount));
        Assert.Equal((expected.PromptTokenCount, expected.Tokens.Count), (streamed.Usage!.InputTokenCount, streamed.Usage.OutputTokenCount));
    }

    [Fact]
    public async Task A_typed_answer_is_of_its_type()
    {
        ChatResponse<Finding> response = await Chat().GetResponseAsync<Finding>([new ChatMessage(ChatRole.User, Question)], new ChatOptions { Temperature = 1, Seed = 4, MaxOutputTokens = 200 }, cancellationToken: Token);
        Assert.Equal(ChatFinishReason.Stop, response.FinishReason);
        Assert.True(Enum.IsDefined(response.Result.Side));
    }

    [Fact]
    public async Task Functions_are_invoked_and_their_results_go_back_to_the_model()
    {
        IChatClient pipeline = Chat().AsBuilder().UseFunctionInvocation().Build();
        var options = new ChatOptions { Temperature = 0, MaxOutputTokens = 60, Tools = [Show], ToolMode = ChatToolMode.RequireSpecific("show_slice"), AllowMultipleToolCalls = false };
        ChatResponse response = await pipeline.GetResponseAsync([new ChatMessage(ChatRole.User, "Show slice 12.")], options, Token);
        FunctionCallContent call = Assert.Single(response.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>());
        FunctionResultContent result = Assert.Single(response.Messages.SelectMany(message => message.Contents).OfType<FunctionResultContent>());
        Assert.Equal($"slice {((JsonElement)call.Arguments!["slice"]!).GetInt32()} is shown", result.Result?.ToString());
        Assert.Equal(ChatRole.Assistant, response.Messages[^1].Role);
    }

    [Fact]
    public async Task Embeddings_are_those_of_the_model()
    {
        IEmbeddingGenerator<string, Embedding<float>> generator = Client().GetEmbeddingClient(RunningServer.ModelName).AsIEmbeddingGenerator();
        GeneratedEmbeddings<Embedding<float>> embeddings = await generator.GenerateAsync(["a lesion", "no lesion is seen"], cancellationToken: Token);
        IReadOnlyList<float[]> expected = await Server.Direct.EmbedAsync([Server.Direct.Prompts.EncodeText("a lesion", []), Server.Direct.Prompts.EncodeText("no lesion is seen", [])], cancellation: Token);
        for (int i = 0; i < 2; i++) Assert.Equal(expected[i], embeddings[i].Vector.ToArray());
    }

    private OpenAIClient Client() => new(new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = Server.Endpoint });

    private IChatClient Chat() => Client().GetChatClient(RunningServer.ModelName).AsIChatClient();
}
