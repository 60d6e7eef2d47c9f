using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net;
using System.Text.Json;
using OpenAI;
using OpenAI.Chat;

namespace GemmaCore.Server.Tests;

/// <summary>Answers by JSON schema through the official SDK, and by vLLM's fields.</summary>
public sealed class StructuredOutputTests(SharedServer shared) : IClassFixture<SharedServer>
{
    private const string Schema =
        """{"type":"object","properties":{"finding":{"type":"string","maxLength":16},"side":{"type":"string","enum":["left","right"]},"count":{"type":"integer","minimum":0,"maximum":12}},"required":["finding","side","count"],"additionalProperties":false}""";

    private const string Ask = "\"messages\":[{\"role\":\"user\",\"content\":\"Describe the finding.\"}],\"max_tokens\":80";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static ChatCompletionOptions Options(float temperature) => new()
    {
        Temperature = temperature, MaxOutputTokenCount = 120, ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("finding", BinaryData.FromString(Schema), "What is seen.", jsonSchemaIsStrict: true),
    };

    [Theory]
    [InlineData(0)]
    [InlineData(1.5)]
    public async Task The_sdk_gets_json_by_its_schema(float temperature)
    {
        ChatCompletion completion = await Chat().CompleteChatAsync([new UserChatMessage("Describe the finding.")], Options(temperature), Token);
        AssertValid(completion.Content[0].Text);
        Assert.Equal(ChatFinishReason.Stop, completion.FinishReason);
    }

    [Fact]
    public async Task The_sdk_gets_json_by_its_schema_streamed()
    {
        string text = "";
        ChatFinishReason? reason = null;
        await foreach (StreamingChatCompletionUpdate update in Chat().CompleteChatStreamingAsync([new UserChatMessage("Describe the finding.")], Options(0), Token))
        {
            foreach (ChatMessageContentPart part in update.ContentUpdate) text += part.Text;
            reason ??= update.FinishReason;
        }

        AssertValid(text);
        ChatCompletion whole = await Chat().CompleteChatAsync([new UserChatMessage("Describe the finding.")], Options(0), Token);
        Assert.Equal((whole.Content[0].Text, ChatFinishReason.Stop), (text, reason));
    }

    [Theory]
    [InlineData("\"structured_outputs\":{\"choice\":[\"left\",\"right\"]}", "^(left|right)$")]
    [InlineData("\"structured_outputs\":{\"regex\":\"[a-c]{3}-\\\\d\"}", "^[a-c]{3}-[0-9]$")]
    [InlineData("\"structured_outputs\":{\"json\":{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"minItems\":2,\"maxItems\":2}}", @"^\[\s*(true|false),\s*(true|false)\s*\]$")]
    [InlineData("\"structured_outputs\":{\"json\":\"{\\\"type\\\":\\\"null\\\"}\"}", "^null$")]
    [InlineData("\"guided_choice\":[\"yes\"]", "^yes$")]
    [InlineData("\"guided_regex\":\"x{4}\"", "^xxxx$")]
    [InlineData("\"guided_json\":{\"const\":{\"a\":[1]}}", @"^\{""a"":\s*\[1\]\}$")]
    [InlineData("\"response_format\":{\"type\":\"text\"}", "")]
    public async Task Fields_of_vllm_say_what_an_answer_may_be(string field, string expected)
    {
        foreach (string sampling in (string[])["", ",\"temperature\":1.2,\"seed\":4", ",\"logprobs\":true,\"top_logprobs\":2"])
        {
            (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync("/v1/chat/completions", "{" + Ask + "," + field + sampling + "}");
            Assert.True(status == HttpStatusCode.OK, reply.ToString());
            Assert.Matches(expected, reply.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!);
        }

        (_, JsonElement completion) = await shared.Server.PostAsync("/v1/completions", "{\"prompt\":\"x\",\"max_tokens\":40," + field + "}");
        Assert.Matches(expected, completion.GetProperty("choices")[0].GetProperty("text").GetString()!);
    }

    [Fact]
    public async Task A_json_object_is_one_or_the_start_of_one()
    {
        (_, JsonElement reply) = await shared.Server.PostAsync("/v1/chat/completions", "{" + Ask + ",\"response_format\":{\"type\":\"json_object\"},\"temperature\":0.7,\"seed\":3}");
        JsonElement choice = reply.GetProperty("choices")[0];
        string text = choice.GetProperty("message").GetProperty("content").GetString()!;
        Assert.StartsWith("{", text, StringComparison.Ordinal);
        if (choice.GetProperty("finish_reason").GetString() == "stop") Assert.Equal(JsonValueKind.Object, JsonDocument.Parse(text).RootElement.ValueKind);
    }

    [Theory]
    [InlineData("\"response_format\":{}", "response_format.type", "missing_required_parameter")]
    [InlineData("\"response_format\":{\"type\":\"xml\"}", "response_format.type", "invalid_value")]
    [InlineData("\"response_format\":{\"type\":\"json_schema\"}", "response_format.json_schema", "missing_required_parameter")]
    [InlineData("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{}}}", "response_format.json_schema.name", "missing_required_parameter")]
    [InlineData("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a b\",\"schema\":{}}}", "response_format.json_schema.name", "invalid_value")]
    [InlineData("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":{\"not\":{}}}}", "response_format.json_schema.schema", "invalid_value")]
    [InlineData("\"response_format\":{\"type\":\"json_object\",\"schema\":{}}", "response_format.schema", "unknown_parameter")]
    [InlineData("\"structured_outputs\":{\"grammar\":\"root ::= x\"}", "structured_outputs.grammar", "unsupported_parameter")]
    [InlineData("\"structured_outputs\":{\"regex\":\"a\",\"choice\":[\"a\"]}", "structured_outputs", "invalid_value")]
    [InlineData("\"structured_outputs\":{}", "structured_outputs", "invalid_value")]
    [InlineData("\"structured_outputs\":{\"whitespace_pattern\":\" \"}", "structured_outputs.whitespace_pattern", "unknown_parameter")]
    [InlineData("\"structured_outputs\":{\"choice\":[]}", "structured_outputs.choice", "invalid_value")]
    [InlineData("\"structured_outputs\":{\"choice\":[\"\"]}", "structured_outputs.choice", "invalid_value")]
    [InlineData("\"structured_outputs\":{\"json_object\":false}", "structured_outputs.json_object", "invalid_value")]
    [InlineData("\"guided_regex\":\"(a\"", "guided_regex", "invalid_value")]
    [InlineData("\"guided_grammar\":\"root ::= x\"", "guided_grammar", "unsupported_parameter")]
    [InlineData("\"guided_choice\":[\"a\"],\"response_format\":{\"type\":\"json_object\"}", "guided_choice", "invalid_value")]
    public async Task What_makes_no_sense_is_refused_by_the_name_of_its_field(string field, string param, string code)
    {
        (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync("/v1/chat/completions", "{" + Ask + "," + field + "}");
        JsonElement error = reply.GetProperty("error");
        Assert.Equal((HttpStatusCode.BadRequest, param, code), (status, error.GetProperty("param").GetString(), error.GetProperty("code").GetString()));
        Assert.DoesNotContain('\n', error.GetProperty("message").GetString()!);
    }

    private static void AssertValid(string text)
    {
        JsonElement root = JsonDocument.Parse(text).RootElement;
        Assert.Equal(["finding", "side", "count"], root.EnumerateObject().Select(member => member.Name));
        Assert.InRange(root.GetProperty("finding").GetString()!.EnumerateRunes().Count(), 0, 16);
        Assert.Contains(root.GetProperty("side").GetString(), (string[])["left", "right"]);
        Assert.InRange(root.GetProperty("count").GetInt32(), 0, 12);
    }

    private ChatClient Chat() => new(RunningServer.ModelName, new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = shared.Server.Endpoint, RetryPolicy = new ClientRetryPolicy(0) });
}
