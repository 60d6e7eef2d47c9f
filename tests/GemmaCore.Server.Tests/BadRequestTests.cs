using System.Net;
using System.Text;
using System.Text.Json;

namespace GemmaCore.Server.Tests;

/// <summary>What makes no sense, or is not supported, is refused with the name of the field, before any work.</summary>
public sealed class BadRequestTests(SharedServer shared) : IClassFixture<SharedServer>
{
    private const string Ask = "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]";

    private const string Tool = "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}";

    // Route, body, the field at fault, the code.
    public static TheoryData<string, string, string?, string?> Bodies => new()
    {
        { "chat/completions", "", null, "invalid_json" },
        { "chat/completions", "{", null, "invalid_json" },
        { "chat/completions", "[]", null, null },
        { "chat/completions", "{\"a\":1,\"a\":2}", null, "invalid_json" },
        { "chat/completions", "{}", "messages", "missing_required_parameter" },
        { "chat/completions", "{\"messages\":\"x\"}", "messages", "invalid_value" },
        { "chat/completions", "{\"messages\":[]}", "messages", "invalid_value" },
        { "chat/completions", "{\"messages\":[1]}", "messages[0]", "invalid_value" },
        { "chat/completions", "{\"messages\":[{\"content\":\"x\"}]}", "messages[0].role", "missing_required_parameter" },
        { "chat/completions", "{\"messages\":[{\"role\":\"user\"}]}", "messages[0].content", "missing_required_parameter" },
        { "chat/completions", "{\"messages\":[{\"role\":\"robot\",\"content\":\"x\"}]}", "messages[0].role", "invalid_value" },
        { "chat/completions", "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "messages[0].tool_call_id", "missing_required_parameter" },
        { "chat/completions", "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\",\"tool_call_id\":\"call_1\"}]}", "messages[0].tool_call_id", "invalid_value" },
        { "chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"tool_call_id\":\"call_1\"}]}", "messages[0].tool_call_id", "invalid_value" },
        { "chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"tool_calls\":[]}]}", "messages[0].tool_calls", "invalid_value" },
        { "chat/completions", "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}]}", "messages[0].tool_calls[0].function.arguments", "invalid_value" },
        { "chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"audio\"}]}]}", "messages[0].content[0].type", "invalid_value" },
        { "chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"\\ud800\"}]}", "messages[0].content", "invalid_value" },
        { "chat/completions", "{\"messages\":[{\"role\":\"assistant\",\"content\":\"x\"}]}", null, null },
        { "chat/completions", "{" + Ask + ",\"temperature\":-0.1}", "temperature", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"temperature\":\"hot\"}", "temperature", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"temperature\":1e999}", "temperature", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"top_p\":0}", "top_p", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"top_k\":-2}", "top_k", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"max_tokens\":0}", "max_tokens", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"max_tokens\":1.5}", "max_tokens", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"max_tokens\":8190}", "max_tokens", "context_length_exceeded" },
        { "chat/completions", "{" + Ask + ",\"n\":0}", "n", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"stop\":[\"\"]}", "stop", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"stop\":[1]}", "stop[0]", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"logit_bias\":{\"x\":1}}", "logit_bias", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"logit_bias\":{\"5\":101}}", "logit_bias.5", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"top_logprobs\":2}", "top_logprobs", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"logprobs\":true,\"top_logprobs\":21}", "top_logprobs", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"presence_penalty\":2.1}", "presence_penalty", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"stream\":1}", "stream", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"stream_options\":{\"x\":1}}", "stream_options.x", "unknown_parameter" },
        { "chat/completions", "{" + Ask + ",\"tools\":[{\"type\":\"function\"}]}", "tools[0].function", "missing_required_parameter" },
        { "chat/completions", "{" + Ask + ",\"tools\":[{\"type\":\"web_search\",\"function\":{}}]}", "tools[0].type", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a b\"}}]}", "tools[0].function.name", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":[]}}]}", "tools[0].function.parameters", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"string\"}}}]}", "tools[0].function.parameters.type", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"tools\":[" + Tool + "," + Tool + "]}", "tools", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"tool_choice\":\"required\"}", "tool_choice", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"tool_choice\":\"sometimes\"}", "tool_choice", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"tools\":[" + Tool + "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}}", "tool_choice.function.name", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"tools\":[" + Tool + "],\"response_format\":{\"type\":\"json\"}}", "response_format.type", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"parallel_tool_calls\":1}", "parallel_tool_calls", "invalid_value" },
        { "chat/completions", "{" + Ask + ",\"temperatur\":1}", "temperatur", "unknown_parameter" },
        { "chat/completions", "{" + Ask + ",\"seed\":1.5}", "seed", "invalid_value" },
        { "embeddings", "{}", "input", "missing_required_parameter" },
        { "embeddings", "{\"input\":\"\"}", "input", "invalid_value" },
        { "embeddings", "{\"input\":[]}", "input", "invalid_value" },
        { "embeddings", "{\"input\":[\"a\",1]}", "input[1]", "invalid_value" },
        { "embeddings", "{\"input\":[1,-1]}", "input[1]", "invalid_value" },
        { "embeddings", "{\"input\":\"x\",\"dimensions\":0}", "dimensions", "invalid_value" },
        { "embeddings", "{\"input\":\"x\",\"dimensions\":100000}", "dimensions", "invalid_value" },
        { "embeddings", "{\"input\":\"x\",\"encoding_format\":\"int8\"}", "encoding_format", "invalid_value" },
        { "embeddings", "{\"input\":\"x\"," + Ask + "}", "messages", "invalid_value" },
        { "embeddings", "{\"input\":\"x\",\"truncate\":true}", "truncate", "unknown_parameter" },
        { "embeddings", "{\"input\":\"" + new string('é', 9000) + "\"}", "input", "context_length_exceeded" },
        { "completions", "{}", "prompt", "missing_required_parameter" },
        { "completions", "{\"prompt\":[]}", "prompt", "invalid_value" },
        { "completions", "{\"prompt\":[4096]}", "prompt[0]", "invalid_value" },
        { "completions", "{\"prompt\":[4032]}", "prompt[0]", "invalid_value" },
        { "completions", "{\"prompt\":\"x\",\"suffix\":\"y\"}", "suffix", "unsupported_parameter" },
        { "completions", "{\"prompt\":\"x\",\"suffix\":1}", "suffix", "invalid_value" },
        { "completions", "{\"prompt\":\"x\",\"best_of\":3,\"n\":2}", "best_of", "unsupported_parameter" },
        { "completions", "{\"prompt\":\"x\",\"stop\":5}", "stop", "invalid_value" },
        { "completions", "{\"prompt\":\"x\",\"echo\":true,\"logprobs\":1}", "echo", "unsupported_value" },
        { "completions", "{\"prompt\":[\"x\",\"y\",\"z\"],\"n\":6}", "n", "too_many_choices" },
        { "completions", "{\"prompt\":\"<start_of_image>\"}", null, null },
    };

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task A_bad_body_is_refused_by_the_name_of_its_field(string route, string body, string? param, string? code)
    {
        (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync("/v1/" + route, body);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        JsonElement error = reply.GetProperty("error");
        Assert.Equal((param, code, "invalid_request_error"), (error.GetProperty("param").GetString(), error.GetProperty("code").GetString(), error.GetProperty("type").GetString()));
        Assert.DoesNotContain('\n', error.GetProperty("message").GetString()!);
    }

    [Theory]
    [InlineData("{\"messages\":[],\"messages\":[]}", null, 400, "An object in the body has two members of one name")]
    [InlineData("{\"messages\":[],\n \"x\"}", null, 400, "The body is not valid JSON (line 2, byte 4)")]
    [InlineData("\u001f\u008b", "gzip", 415, "The body must not be compressed, but its Content-Encoding is gzip")]
    [InlineData("{}", "identity", 400, "Missing required parameter: 'messages'")]
    public async Task What_is_wrong_with_a_body_is_said(string latin1, string? coding, int expected, string message)
    {
        using var content = new ByteArrayContent(Encoding.Latin1.GetBytes(latin1));
        content.Headers.ContentType = new("application/json");
        if (coding is not null) content.Headers.ContentEncoding.Add(coding);
        using HttpResponseMessage response = await shared.Server.Client.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), content, TestContext.Current.CancellationToken);
        string reply = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Equal((expected, message), ((int)response.StatusCode, JsonDocument.Parse(reply).RootElement.GetProperty("error").GetProperty("message").GetString()));
    }

    // Found by tools/load_test.sh: such names were an internal error.
    [Theory]
    [InlineData("{\"messages\":[],\"\u00db\":1}")]
    [InlineData("{\"messages\":[],\"\\ud83d\":1}")]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"\\udc00x\":1}]}")]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"content\":\"\u00db\"}]}")]
    public async Task Bytes_and_escapes_that_are_no_text_are_a_bad_body(string latin1)
    {
        using var content = new ByteArrayContent(Encoding.Latin1.GetBytes(latin1));
        content.Headers.ContentType = new("application/json");
        using HttpResponseMessage response = await shared.Server.Client.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), content, TestContext.Current.CancellationToken);
        string reply = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_json"), (response.StatusCode, JsonDocument.Parse(reply).RootElement.GetProperty("error").GetProperty("code").GetString()));
    }

    // Defaults that clients write out.
    [Theory]
    [InlineData("chat/completions", Ask + ",\"logprobs\":false,\"top_logprobs\":0")]
    [InlineData("completions", "\"prompt\":\"x\",\"suffix\":\"\",\"best_of\":1,\"logprobs\":null")]
    [InlineData("completions", "\"prompt\":\"x\",\"n\":2,\"best_of\":2")]
    [InlineData("completions", "\"prompt\":\"x\",\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":false}")]
    public async Task What_asks_for_no_more_than_is_done_anyway_is_taken(string route, string fields)
    {
        (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync("/v1/" + route, $"{{{fields},\"max_tokens\":1}}");
        Assert.True(status == HttpStatusCode.OK, reply.ToString());
    }

    [Theory]
    [InlineData("/v1/load_lora_adapter")]
    [InlineData("/v1/files/a.json")]
    public async Task What_is_not_built_is_not_there(string path)
    {
        (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync(path, "{}");
        Assert.Equal((HttpStatusCode.NotFound, "unknown_url"), (status, reply.GetProperty("error").GetProperty("code").GetString()));
    }

    [Fact]
    public async Task After_all_of_this_the_server_answers()
    {
        (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync("/v1/chat/completions", "{" + Ask + ",\"max_tokens\":2,\"user\":\"me\",\"tool_choice\":\"auto\",\"tools\":[]}");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.InRange(reply.GetProperty("usage").GetProperty("completion_tokens").GetInt32(), 1, 2);
    }

    [Fact]
    public async Task Tokens_go_out_and_come_back()
    {
        (_, JsonElement tokens) = await shared.Server.PostAsync("/tokenize", "{\"prompt\":\"A lesion, Ünïcode 🩺\"}");
        int[] ids = [.. tokens.GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32())];
        Assert.Equal(shared.Server.Direct.Prompts.EncodeText("A lesion, Ünïcode 🩺", []).Ids, ids);
        Assert.Equal(ids.Length, tokens.GetProperty("count").GetInt32());
        (_, JsonElement text) = await shared.Server.PostAsync("/detokenize", $"{{\"tokens\":[{string.Join(',', ids[1..])}]}}");
        Assert.Equal("A lesion, Ünïcode 🩺", text.GetProperty("prompt").GetString());
        (_, JsonElement chat) = await shared.Server.PostAsync("/tokenize", "{" + Ask + "}");
        Assert.Equal(
            shared.Server.Direct.Prompts.Encode([Inputs.ChatMessage.FromText(Inputs.ChatRole.User, "x")], true).Ids, chat.GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32()));
    }
}
